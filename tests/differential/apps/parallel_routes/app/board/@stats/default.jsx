export default () => <p>figures by default</p>;
