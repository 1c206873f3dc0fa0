export default () => <h1>page static</h1>;
