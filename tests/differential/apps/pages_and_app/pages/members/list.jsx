export const getStaticProps = () => ({ props: { at: new Date().toISOString() }, revalidate: 60 });

export default ({ at }) => <h1>members {at}</h1>;
