export default () => <h1>account</h1>;
