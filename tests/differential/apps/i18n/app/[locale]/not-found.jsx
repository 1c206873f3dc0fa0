export default () => <h1>not in any language</h1>;
