export default () => <h1>open</h1>;
