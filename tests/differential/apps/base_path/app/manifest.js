export default () => ({ name: "shop" });
