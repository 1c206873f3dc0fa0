export default {
  assetPrefix: "/cdn",
  i18n: {
    locales: ["en", "de", "fr-CA"],
    defaultLocale: "en",
    domains: [{ domain: "beispiel.example", defaultLocale: "de" }],
  },
  async redirects() {
    return [
      { source: "/old/:slug", destination: "/news/:slug", permanent: true },
      { source: "/de/alt", locale: false, destination: "/de/about", permanent: false },
      { source: "/about", has: [{ type: "cookie", key: "away" }], destination: "/news/away", permanent: false },
      { source: "/members", missing: [{ type: "cookie", key: "member" }], destination: "/about", permanent: false },
    ];
  },
  async rewrites() {
    return {
      beforeFiles: [{ source: "/about", has: [{ type: "query", key: "news", value: "(?<slug>.+)" }], destination: "/news/:slug" }],
      afterFiles: [{ source: "/de/neues/:slug", locale: false, destination: "/de/news/:slug" }],
      fallback: [{ source: "/any/:slug", destination: "/news/:slug" }],
    };
  },
  async headers() {
    return [
      { source: "/:path*", headers: [{ key: "X-Everywhere", value: "yes" }] },
      { source: "/news/:slug", headers: [{ key: "X-News", value: ":slug" }] },
      { source: "/de/about", locale: false, headers: [{ key: "X-Deutsch", value: "ja" }] },
    ];
  },
};
