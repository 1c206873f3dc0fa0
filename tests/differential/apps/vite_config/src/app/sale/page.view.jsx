export default () => <h1>sale</h1>;
