export default () => <h1>a page without props</h1>;
