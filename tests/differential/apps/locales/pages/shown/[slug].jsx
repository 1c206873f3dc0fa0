export const getStaticPaths = () => ({
  paths: [{ params: { slug: "built" } }, { params: { slug: "gebaut" }, locale: "de" }],
  fallback: "blocking",
});

export const getStaticProps = ({ params: { slug }, locale }) => {
  if (slug === "missing") return { notFound: true, revalidate: 600 };
  if (slug === "moved") return { redirect: { destination: "/about", permanent: false }, revalidate: 600 };
  return { props: { slug, locale, at: new Date().toISOString() }, revalidate: 600 };
};

export default ({ slug, locale, at }) => (
  <h1>
    shown {slug} {locale} {at}
  </h1>
);
