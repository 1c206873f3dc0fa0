export default () => <h1>the platform</h1>;
