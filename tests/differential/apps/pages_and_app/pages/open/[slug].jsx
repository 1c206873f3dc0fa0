import { useRouter } from "next/router";

export const getStaticPaths = () => ({ paths: [{ params: { slug: "built" } }], fallback: true });

export const getStaticProps = ({ params: { slug } }) => {
  if (slug === "missing") return { notFound: true, revalidate: 2 };
  if (slug === "moved") return { redirect: { destination: "/isr", permanent: false }, revalidate: 2 };
  return { props: { slug, at: new Date().toISOString() }, revalidate: 2 };
};

export default ({ slug, at }) => {
  if (useRouter().isFallback) return <h1>loading</h1>;
  return (
    <h1>
      open {slug} {at}
    </h1>
  );
};
