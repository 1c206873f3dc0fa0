const Initial = ({ user, at }) => (
  <h1>
    initial {user} {at}
  </h1>
);

Initial.getInitialProps = ({ req }) => ({ user: req.headers.cookie ?? "nobody", at: new Date().toISOString() });

export default Initial;
