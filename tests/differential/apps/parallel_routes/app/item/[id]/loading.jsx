export default () => <p>loading an item</p>;
