export const getStaticPaths = () => ({ paths: [], fallback: "blocking" });
export const getStaticProps = ({ params }) => ({ props: { slug: params.slug, at: new Date().toISOString() }, revalidate: 60 });
export default ({ slug, at }) => <h1>news {slug} {at}</h1>;
