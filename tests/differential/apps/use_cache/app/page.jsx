export default () => <h1>shop</h1>;
