export default () => [{ url: "https://shop.example/shop/about/", lastModified: "2026-01-01" }];
