export default () => <h1>beta-new</h1>;
