export default () => <p>loading the slow page</p>;
