export default () => <h1>members of the board</h1>;
