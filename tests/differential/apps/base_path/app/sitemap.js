export const revalidate = 60;
export default () => [{ url: "https://shop.example/shop" }];
