export const getServerSideProps = ({ req, locale }) => ({ props: { user: req.cookies.user ?? "nobody", locale } });

export default ({ user, locale }) => (
  <h1>
    {user} {locale}
  </h1>
);
