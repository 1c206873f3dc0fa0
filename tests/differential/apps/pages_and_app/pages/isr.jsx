export const getStaticProps = () => ({ props: { at: new Date().toISOString() }, revalidate: 2 });

export default ({ at }) => <h1>isr {at}</h1>;
