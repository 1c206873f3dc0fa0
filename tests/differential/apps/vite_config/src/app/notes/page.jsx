export default () => <h1>not a page</h1>;
