/** `vinext({ nextConfig })` of this app's Vite configuration. */
export default async () => ({
  basePath: "/shop",
  trailingSlash: true,
  pageExtensions: ["view.jsx", "view.js"],
  async redirects() {
    return [
      { source: "/", destination: "/shop/", basePath: false, permanent: false },
      { source: "/shop/login", has: [{ type: "query", key: "outside" }], destination: "/shop/about/", basePath: false, permanent: false },
      { source: "/sale", has: [{ type: "cookie", key: "group", value: "(?<group>b.*)" }], destination: "/products/:group", permanent: false },
      { source: "/account/:path*", missing: [{ type: "cookie", key: "session" }], destination: "/login", permanent: false },
      { source: "/products/:id", has: [{ type: "header", key: "x-old-client" }, { type: "query", key: "v", value: "1" }], destination: "/about", permanent: true },
      { source: "/old/:id(\\d+)", destination: "/products/:id", permanent: true },
      { source: "/about", has: [{ type: "host", value: "old.example.com" }], destination: "https://new.example.com/about", statusCode: 302 },
    ];
  },
  async rewrites() {
    return {
      beforeFiles: [{ source: "/beta", has: [{ type: "cookie", key: "beta" }], destination: "/beta-new" }],
      afterFiles: [
        { source: "/alias/:id", destination: "/products/:id" },
        { source: "/outside/:path*", destination: "http://127.0.0.1:9/:path*", basePath: false },
      ],
      fallback: [
        { source: "/any/:id", destination: "/products/:id?from=:id" },
        { source: "/elsewhere/:path*", destination: "http://127.0.0.1:9/:path*" },
      ],
    };
  },
  async headers() {
    return [
      { source: "/:path*", headers: [{ key: "X-Everywhere", value: "yes" }] },
      { source: "/products/:id", headers: [{ key: "X-Product", value: ":id" }] },
      { source: "/:page/", headers: [{ key: "X-Page", value: ":page" }] },
      { source: "/about", has: [{ type: "cookie", key: "member" }], headers: [{ key: "X-Member", value: "yes" }] },
      { source: "/about", missing: [{ type: "cookie", key: "member" }], headers: [{ key: "X-Member", value: "no" }] },
      { source: "/shop/:path*", basePath: false, headers: [{ key: "X-Outside", value: ":path*" }] },
    ];
  },
});
