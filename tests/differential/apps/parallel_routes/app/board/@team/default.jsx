export default () => <p>the team by default</p>;
