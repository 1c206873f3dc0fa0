export const getServerSideProps = ({ req, res, query }) => {
  res.setHeader("X-From-Props", "yes");
  return { props: { user: req.headers.authorization ?? req.cookies.user ?? "nobody", q: query.q ?? null } };
};

export default ({ user, q }) => (
  <h1>
    user {user} {q}
  </h1>
);
