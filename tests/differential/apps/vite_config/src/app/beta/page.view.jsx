export default () => <h1>beta</h1>;
