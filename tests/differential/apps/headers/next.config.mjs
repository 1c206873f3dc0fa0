export default {
  async headers() {
    return [
      { source: "/products/:id", headers: [{ key: "X-Product", value: ":id" }, { key: "X-Frame-Options", value: "DENY" }, { key: "Content-Security-Policy", value: "script-src 'self' 'unsafe-inline'" }] },
      { source: "/news/:slug", headers: [{ key: "X-News", value: ":slug" }] },
      { source: "/policy", headers: [{ key: "Cache-Control", value: "public, max-age=7" }] },
      { source: "/varies", headers: [{ key: "Vary", value: "X-Thing" }] },
      { source: "/cookie", headers: [{ key: "Set-Cookie", value: "from=config; Path=/" }] },
    ];
  },
  async rewrites() {
    const afterFiles = [{ source: "/latest/:slug", destination: "/news/:slug" }];
    return { beforeFiles: [], afterFiles, fallback: [{ source: "/any/:id", destination: "/products/:id" }] };
  },
};
