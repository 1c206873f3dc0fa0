export default () => <h1>both</h1>;
