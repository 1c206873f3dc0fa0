const tenant = { type: "host", value: "(?<name>[a-z]+)\\.example\\.com" };

export default {
  async redirects() {
    return [{ source: "/:path*", has: [{ type: "host", value: "www.example.com" }], destination: "https://example.com/:path*", permanent: true }];
  },
  async rewrites() {
    return { beforeFiles: [], afterFiles: [{ source: "/who", has: [tenant], destination: "/api/whoami?name=:name" }], fallback: [] };
  },
  async headers() {
    return [{ source: "/:path*", has: [tenant], headers: [{ key: "X-Robots-Tag", value: "noindex" }] }];
  },
};
