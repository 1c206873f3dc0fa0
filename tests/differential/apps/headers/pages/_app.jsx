import App from "next/app";

const Own = ({ Component, pageProps, user }) => (
  <>
    <p>{user}</p>
    <Component {...pageProps} />
  </>
);

Own.getInitialProps = async (context) => ({
  ...(await App.getInitialProps(context)),
  user: context.ctx.req?.headers.cookie ?? "nobody",
});

export default Own;
