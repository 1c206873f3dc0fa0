export default () => <p>the team, one by one</p>;
