export default () => <p>the team</p>;
