export const metadata = { title: "About", alternates: { canonical: "/about" } };

export default () => <h1>about</h1>;
