export default () => <p>figures {new Date().toISOString()}</p>;
