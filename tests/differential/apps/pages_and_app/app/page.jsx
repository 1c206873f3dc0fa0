export default () => <h1>home of the App Router</h1>;
