export default () => <h1>guarded</h1>;
