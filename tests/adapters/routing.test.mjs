// The rules that the adapter writes down; test_routing.py runs this file. VINEXT_APP names an app with vinext installed.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { vinextWorkerCache } from "../../adapters/vinext/index.js";
import { ROUTING_FILE, touchedBy, writeRouting } from "../../adapters/vinext/routing.js";

const sources = [
  ["/ab", "/ab", false],
  ["/", "/", false],
  ["/staging/:path*", "/staging", true],
  ["/:path*", "/", true],
  ["/(.*)", "/", true],
  ["/((?!api|_next/static).*)", "/", true],
  ["/blog/:slug(\\d+)", "/blog", true],
  ["/docs{/:lang}?", "/docs", true],
  ["/items?", "/item", true],
  ["/a+", "/", true],
  ["/old-:name", "/old-", true],
  ["/report.:format?", "/report", true],
  ["/v1.:minor?/end", "/v1", true],
  ["no slash", "/", true],
  [undefined, "/", true],
];
for (const [source, expected, prefix] of sources) {
  test(`${source} may touch ${expected}${prefix ? "…" : ""}`, () => {
    assert.deepEqual(touchedBy(source), { path: expected, prefix });
  });
}

/** The part of Cloudflare's plugin that finds the Worker's entry. */
function cloudflare(main, environment) {
  async function handler(source) {
    assert.deepEqual([source, this.environment.name], ["virtual:cloudflare/user-entry", environment]);
    return await this.resolve(main);
  }
  return { name: "vite-plugin-cloudflare:virtual-modules", applyToEnvironment: ({ name }) => name === environment, resolveId: { handler } };
}

/** The part of vinext's plugin that its options are read from, and that of Cloudflare's. */
function vinext({ nextConfig = null, main = "vinext-worker-adapter/worker", environment = "rsc", ...routeRoot } = {}) {
  const own = [{ __vinextNextConfig: nextConfig, __vinextRouteRootConfig: routeRoot }];
  return [[{ name: "other" }, null], Promise.resolve(own), [Promise.resolve(cloudflare(main, environment))]];
}

async function builtSite(context, files, routes, options, write = writeRouting) {
  const root = await mkdtemp(path.join(tmpdir(), "routing-"));
  context.after(() => rm(root, { recursive: true }));
  await symlink(path.join(process.env.VINEXT_APP, "node_modules"), path.join(root, "node_modules"));
  await mkdir(path.join(root, "dist", "server"), { recursive: true });
  await writeFile(path.join(root, "package.json"), '{"type": "module"}');
  const manifest = { buildId: "b1", routes };
  await writeFile(path.join(root, "dist", "server", "vinext-prerender.json"), JSON.stringify(manifest));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(root, name)), { recursive: true });
    await writeFile(path.join(root, name), text);
  }
  const { main } = options ?? {};
  const plugins = vinext({ ...options, ...(main?.startsWith("./") && { main: path.join(root, main) }) });
  await write({ root, clientOutDir: path.join(root, "dist", "client"), plugins });
  return root;
}

async function routingOf(context, files, options, routes = ["/", "/about", "/blog/a"]) {
  const root = await builtSite(context, files, routes.map((route) => ({ route })), options);
  return JSON.parse(await readFile(path.join(root, "dist", "server", ROUTING_FILE), "utf8"));
}

test("basePath is told, and assetPrefix is none", async (context) => {
  const config = (text) => ({ "next.config.mjs": `export default ${text};` });
  const told = async (text) => (await routingOf(context, config(text))).basePath;
  assert.equal(await told('{ assetPrefix: "/cdn" }'), "");
  assert.equal(await told('{ assetPrefix: "/cdn", basePath: "/shop" }'), "/shop");
});

const middlewares = [
  ["one source", "middleware.js", 'export const config = { matcher: "/a/:path*" };', [["/a", true, "middleware.js: /a/:path*"]]],
  [
    "several, with conditions, in TypeScript",
    "proxy.ts",
    'import type { X } from "y"; export const config = { matcher: ["/a", { source: "/b/(.*)", missing: [{ type: "header", key: "x" }] }] } as const; export default (r: Request): void => {};',
    [["/a", false, "proxy.ts: /a"], ["/b", true, "proxy.ts: /b/(.*)"]],
  ],
  ["no matcher", "proxy.js", "export const config = {}; export function proxy() {}", [["/", true, "proxy.js, which has no matcher"]]],
  ["no config", "proxy.js", "export function proxy() {}", [["/", true, "proxy.js, which has no matcher"]]],
  [
    "a matcher that is computed",
    "proxy.js",
    'const all = ["/a"]; export const config = { matcher: all };',
    [["/", true, "proxy.js, whose matcher cannot be read (not a literal)"]],
  ],
];
for (const [name, file, code, expected] of middlewares) {
  test(`middleware: ${name}`, async (context) => {
    const { rules, buildId, version } = await routingOf(context, { [file]: code });
    assert.deepEqual(rules.map((rule) => [rule.path, rule.prefix, rule.name]), expected);
    assert.deepEqual([buildId, version], ["b1", 1]);
  });
}

const VINEXT = 'import vinext from "vinext/server/fetch-handler";';
const WRAP = `${VINEXT} import { withVinextWorker } from "vinext-worker-adapter/worker";`;
const OWN = "worker/index.ts";
const entries = [
  ["a fetch of its own", `${WRAP} export default withVinextWorker({ async fetch(request) { return new Response(request.url); } });`, OWN],
  [
    "a header on what vinext answers",
    `${WRAP} const own = { fetch: async (request, env, ctx) => { const r = await vinext.fetch(request, env, ctx); r.headers.set("A", "b"); return r; } }; export default withVinextWorker(own);`,
    OWN,
  ],
  ["another request for vinext", `${WRAP} export default withVinextWorker({ fetch: (request) => vinext.fetch(new Request(request)) });`, OWN],
  ["a default for what vinext is given", `${WRAP} export default withVinextWorker({ fetch: (r = guard) => vinext.fetch(r) });`, OWN],
  ["a fetch of another Worker", `${WRAP} import own from "./own"; export default withVinextWorker(own);`, OWN],
  ["an object that is spread", `${WRAP} import own from "./own"; export default withVinextWorker({ ...vinext, ...own });`, OWN],
  ["a name that is computed", `${WRAP} export default withVinextWorker({ ...vinext, [name]() {} });`, OWN],
  ["another wrapper", `${WRAP} import { guard } from "guard"; export default guard(withVinextWorker(vinext));`, OWN],
  ["a change of vinext's fetch", `${WRAP} vinext.fetch = guard; export default withVinextWorker(vinext);`, OWN],
  ["a class", 'import Vinext from "vinext-worker-adapter/worker"; export default class extends Vinext {}', OWN],
  ["no default export", `${WRAP} export const a = 1;`, OWN],
  ["what does not parse", "export default {", OWN],
  ["vinext as it is", `${WRAP} export default withVinextWorker(vinext);`, null],
  ["the adapter's entry and a class", 'export { default } from "vinext-worker-adapter/worker"; export class Counter {}', null],
  ["the adapter's entry by a name", 'import ours from "vinext-worker-adapter/worker"; export default ours;', null],
  [
    "other events alone",
    `${WRAP} interface Env { A: string } const worker = { ...vinext, async queue(batch: unknown) {}, scheduled: () => {} } satisfies object; export default withVinextWorker(worker);`,
    null,
  ],
  ["vinext's fetch", `${WRAP} export default withVinextWorker({ fetch: vinext.fetch, async queue() {} });`, null],
  [
    "a call of vinext's fetch",
    `${WRAP} export default withVinextWorker({ async fetch(request: Request, env: Env, ctx) { return await vinext.fetch(request, env, ctx); } });`,
    null,
  ],
];
for (const [name, code, expected] of entries) {
  test(`a Worker entry: ${name}`, async (context) => {
    const { rules } = await routingOf(context, { [OWN]: code }, { main: `./${OWN}` });
    if (expected === null) return assert.deepEqual(rules, []);
    assert.deepEqual([rules.length, rules[0].path, rules[0].prefix], [1, "/", true]);
    assert.equal(rules[0].name, `the app's own Worker entry, ${expected}`);
  });
}

const mains = [
  ["of a package", { main: "some-package/worker" }, "the app's own Worker entry, some-package/worker"],
  ["that does not exist", { main: "./worker.js" }, /^the app's own Worker entry, which cannot be read/],
  ["of an environment that is not known", { environment: "other" }, /^the app's own Worker entry, which cannot be read/],
  ["of the Pages Router", { environment: "ssr" }, null],
  ["of an environment with the Worker's name", { environment: "my_app" }, null],
  ["by the adapter's file", { main: fileURLToPath(new URL("../../adapters/vinext/worker.js", import.meta.url)) }, null],
];
for (const [name, options, expected] of mains) {
  test(`a Worker entry ${name}`, async (context) => {
    const files = { "dist/server/wrangler.json": '{ "topLevelName": "my-app", "name": "my-app-staging" }' };
    const { rules } = await routingOf(context, files, options);
    assert.equal(rules.length, expected === null ? 0 : 1);
    if (expected !== null) assert.match(rules[0].name, new RegExp(expected));
  });
}

const at = (name) => ({ [name]: `export const config = { matcher: "/${name}" };` });
const places = [
  ["the root's, for an app in both places", { ...at("proxy.js"), ...at("src/middleware.js") }, {}, ["app", "src/app"], "proxy.js"],
  ["that of src, for an app in src", { ...at("proxy.js"), ...at("src/middleware.js") }, {}, ["src/app"], "src/middleware.js"],
  ["none of the root, for an app in src", at("proxy.js"), {}, ["src/pages"], null],
  ["none of src, for an app that is not there", at("src/proxy.js"), {}, ["pages"], null],
  ["that of src, where appDir says so", { ...at("proxy.js"), ...at("src/proxy.js") }, { appDir: "src" }, ["app", "src/app"], "src/proxy.js"],
  ["the root's, where appDir is elsewhere", { ...at("proxy.js"), ...at("web/proxy.js") }, { appDir: "web" }, ["web/app"], "proxy.js"],
  ["that of an extension for pages", { ...at("proxy.mts"), ...at("middleware.ts") }, {}, ["app"], "middleware.ts"],
];
for (const [name, middleware, options, folders, expected] of places) {
  test(`middleware of an app with several files: ${name}`, async (context) => {
    const pages = Object.fromEntries(folders.map((folder) => [`${folder}/page.jsx`, ""]));
    const { rules } = await routingOf(context, { ...middleware, ...pages }, options);
    assert.deepEqual(rules.map((rule) => rule.path), expected ? [`/${expected}`] : []);
  });
}

const routerFolders = [
  ["in the root", ["app", "src/pages"], {}, ["app"]],
  ["in src", ["src/app", "src/pages"], {}, ["app", "pages"]],
  ["where appDir says", ["pages", "web/app"], { appDir: "web" }, ["app"]],
  ["without the App Router", ["app", "pages"], { disableAppRouter: true }, ["pages"]],
];
for (const [name, folders, options, expected] of routerFolders) {
  test(`routers: ${name}`, async (context) => {
    const files = Object.fromEntries(folders.map((folder) => [`${folder}/page.jsx`, ""]));
    assert.deepEqual((await routingOf(context, files, options)).routers, expected);
  });
}

test("the configuration in vite.config takes the place of next.config", async (context) => {
  const files = {
    "next.config.mjs": 'export default { basePath: "/file", redirects: () => [{ source: "/file", destination: "/", permanent: true }] };',
    "middleware.page.ts": 'export const config = { matcher: "/guarded" };',
  };
  const inline = {
    basePath: "/shop",
    pageExtensions: ["page.ts"],
    redirects: async () => [{ source: "/inline", destination: "/", permanent: true }],
    headers: async () => [{ source: "/about", headers: [{ key: "X-A", value: "1" }] }],
  };
  for (const nextConfig of [inline, async (phase) => (phase === "phase-production-build" ? inline : {})]) {
    const { basePath, rules, headers } = await routingOf(context, files, { nextConfig });
    assert.equal(basePath, "/shop");
    assert.deepEqual(rules.map((rule) => rule.path), ["/guarded", "/inline"]);
    assert.deepEqual(headers, { sets: [{ "x-a": "1" }], paths: { "/about": 0 } });
  }
});

test("the adapter reads the options of the build that it was first asked about", async (context) => {
  const { output } = vinextWorkerCache();
  const redirects = (source) => ({ redirects: async () => [{ source, destination: "/", permanent: true }] });
  const write = async ({ plugins, ...build }) => {
    output.matchesBuild({ plugins });
    output.matchesBuild({ plugins: vinext({ nextConfig: redirects("/other") }) });
    await output.finalizePrerenderOutput(build);
  };
  const root = await builtSite(context, {}, [{ route: "/" }], { nextConfig: redirects("/inline") }, write);
  const { rules } = JSON.parse(await readFile(path.join(root, "dist", "server", ROUTING_FILE), "utf8"));
  assert.deepEqual(rules.map((rule) => rule.path), ["/inline"]);
});

test("middleware is found by the pageExtensions of next.config", async (context) => {
  const config = 'export default { pageExtensions: ["page.tsx", ".page.ts"] };';
  const code = 'export const config = { matcher: "/a" }; export default () => {};';
  const { rules } = await routingOf(context, { "next.config.mjs": config, "middleware.page.ts": code });
  assert.deepEqual(rules.map((rule) => [rule.path, rule.prefix, rule.name]), [["/a", false, "middleware.page.ts: /a"]]);
});

test("middleware that does not parse may touch every path", async (context) => {
  const { rules } = await routingOf(context, { "proxy.js": "export const = ;" });
  assert.deepEqual(rules.map((rule) => [rule.path, rule.prefix]), [["/", true]]);
});

test("an app without rules has none", async (context) => {
  const { version: adapter } = JSON.parse(await readFile(new URL("../../adapters/vinext/package.json", import.meta.url), "utf8"));
  const build = { version: 1, stages: 1, adapter, buildId: "b1" };
  const expected = { ...build, routers: [], basePath: "", i18n: null, images: null, periods: {}, rules: [], headers: { sets: [], paths: {} } };
  assert.deepEqual(await routingOf(context, {}), expected);
});

test("the routers are told by their folders, and the languages by next.config", async (context) => {
  const config = 'export default { i18n: { locales: ["en", "fr"], defaultLocale: "en", domains: [{ domain: "exemple.fr", defaultLocale: "fr" }] } };';
  const files = { "app/page.jsx": "", "pages/index.jsx": "", "next.config.mjs": config };
  const { routers, i18n } = await routingOf(context, files);
  assert.deepEqual(routers, ["app", "pages"]);
  const domains = [{ domain: "exemple.fr", defaultLocale: "fr" }];
  assert.deepEqual(i18n, { locales: ["en", "fr"], defaultLocale: "en", domains, localeDetection: true });
});

test("the images of next.config are written down", async (context) => {
  const config = 'export default { images: { qualities: [50], remotePatterns: [new URL("https://a.example/x/**")] } };';
  const { images } = await routingOf(context, { "next.config.mjs": config });
  assert.deepEqual(images.qualities, [50]);
  assert.deepEqual(images.remotePatterns, [{ protocol: "https", hostname: "a.example", port: "", pathname: "/x/**", search: "" }]);
});

test("redirects, rewrites and conditional headers of next.config", async (context) => {
  const config = `export default {
    async redirects() { return [{ source: "/old/:slug", destination: "/new", permanent: true }]; },
    async rewrites() { return { beforeFiles: [{ source: "/b", destination: "/c" }], afterFiles: [{ source: "/d", destination: "/e" }],
      fallback: [{ source: "/:path*", destination: "https://old.example/:path*" }, { source: "/f", has: [{ type: "cookie", key: "k" }], destination: "/g" }] }; },
    async headers() { return [{ source: "/h", has: [{ type: "host", value: "a.example" }], headers: [{ key: "X-A", value: "1" }] }]; },
  };`;
  const { rules } = await routingOf(context, { "next.config.mjs": config });
  assert.deepEqual(
    rules.map((rule) => [rule.path, rule.prefix]),
    [["/old", true], ["/b", false], ["/d", false], ["/f", false], ["/h", false]],
  );
});

test("a rule with basePath: false counts by what it touches below the base path", async (context) => {
  const sources = ["/", "/other/:path*", "/shop", "/Shop/a", "/shop/b/:path*", "/shopping", "/sh(.*)", "/shop(.*)", "/:path*"];
  const redirects = sources.map((source) => ({ source, destination: "https://a.example", permanent: false, basePath: false }));
  const of = async (basePath) => {
    const { rules } = await routingOf(context, {}, { nextConfig: { basePath, redirects: async () => redirects } });
    return rules.map((rule) => [rule.path, rule.prefix]);
  };
  const everything = ["/", true];
  assert.deepEqual(await of("/shop"), [["/", false], ["/a", false], ["/b", true], everything, everything, everything]);
  assert.equal((await of(undefined)).length, sources.length);
});

test("with trailingSlash, a page has the headers of sources that end in a slash, and of those that do not", async (context) => {
  const config = `export default { trailingSlash: true, async headers() { return [
    { source: "/blog/:slug/", headers: [{ key: "X-Slash", value: ":slug" }] },
    { source: "/blog/:slug", headers: [{ key: "X-None", value: ":slug" }] },
  ]; } };`;
  const { headers } = await routingOf(context, { "next.config.mjs": config });
  assert.deepEqual(headers.sets[headers.paths["/blog/a"]], { "x-slash": "a", "x-none": "a" });
});

test("headers for everybody are written down for each page, equal ones once", async (context) => {
  const config = `export default { async headers() { return [
    { source: "/(.*)", headers: [{ key: "X-Frame-Options", value: "DENY" }] },
    { source: "/blog/:slug", headers: [{ key: "X-Slug", value: ":slug" }] },
  ]; } };`;
  const { rules, headers } = await routingOf(context, { "next.config.mjs": config });
  assert.deepEqual(rules, []);
  const of = (page) => headers.sets[headers.paths[page]];
  assert.deepEqual(of("/about"), { "x-frame-options": "DENY" });
  assert.deepEqual(of("/blog/a"), { "x-frame-options": "DENY", "x-slug": "a" });
  assert.equal(headers.sets.length, 2);
});

test("a Cache-Control for everybody is a rule: vinext then keeps a page for each query", async (context) => {
  const config = `export default { async headers() { return [
    { source: "/search", headers: [{ key: "Cache-Control", value: "public, s-maxage=60" }] },
    { source: "/docs/:path*", headers: [{ key: "X-A", value: "1" }, { key: "cdn-cache-control", value: "max-age=60" }] },
  ]; } };`;
  const { rules } = await routingOf(context, { "next.config.mjs": config });
  assert.deepEqual(
    rules.map((rule) => [rule.path, rule.prefix]),
    [["/search", false], ["/docs", true]],
  );
});

for (const key of ["Set-Cookie", "vary"]) {
  test(`a ${key} for everybody is a rule: no entry has it`, async (context) => {
    const config = `export default { async headers() { return [{ source: "/a", headers: [{ key: "${key}", value: "a=b" }] }]; } };`;
    const { rules } = await routingOf(context, { "next.config.mjs": config });
    assert.deepEqual(rules, [{ path: "/a", prefix: false, name: "headers of next.config: /a" }]);
  });
}

test("i18n and a configuration that fails may touch every path", async (context) => {
  for (const config of ['export default { i18n: { locales: ["en", "de"], defaultLocale: "en" } };', "throw new Error('no');"]) {
    const { rules } = await routingOf(context, { "next.config.mjs": config });
    assert.deepEqual(rules.at(-1).path, "/");
    assert.equal(rules.at(-1).prefix, true);
  }
});

test("a page that has read its request does not belong to the build, whatever Cache-Control a rule puts on it", async (context) => {
  const kind = (name) => `<script>Object.assign(a,{"initialCacheKind":"${name}"});</script>`;
  const pages = { "index.html": "static", "dyn.html": "dynamic", "deep/dyn/index.html": "dynamic" };
  const documents = Object.entries(pages).map(([name, its]) => [`dist/server/prerendered-routes/${name}`, kind(its)]);
  const rows = [["/", "/"], ["/dyn", "/dyn"], ["/deep/:id", "/deep/dyn"], ["/none", "/none"]];
  const routes = rows.map(([route, path_]) => ({ route, path: path_, status: "rendered", router: "app" }));
  const root = await builtSite(context, { "proxy.js": "export function proxy() {}", ...Object.fromEntries(documents) }, routes);
  const manifest = JSON.parse(await readFile(path.join(root, "dist", "server", "vinext-prerender.json"), "utf8"));
  assert.deepEqual(manifest.routes.map((page) => page.status), ["rendered", "skipped", "skipped", "rendered"]);
  assert.deepEqual(manifest.routes[2], { route: "/deep/:id", path: "/deep/dyn", status: "skipped", router: "app", reason: "dynamic" });
});

test("a page with getInitialProps does not belong to the build", async (context) => {
  const pages = { own: { gip: true }, "of-app": { appGip: true }, props: { appGip: true, gsp: true }, plain: { autoExport: true } };
  const html = (data) => `<div>a</div><script id="__NEXT_DATA__" type="application/json">${JSON.stringify({ props: {}, ...data })}</script>`;
  const documents = Object.entries(pages).map(([name, its]) => [`dist/server/prerendered-routes/${name}.html`, html(its)]);
  const routes = [...Object.keys(pages), "none"].map((name) => ({ route: `/${name}`, status: "rendered", router: "pages" }));
  const root = await builtSite(context, Object.fromEntries(documents), routes);
  const manifest = JSON.parse(await readFile(path.join(root, "dist", "server", "vinext-prerender.json"), "utf8"));
  assert.deepEqual(manifest.routes.map((page) => page.status), ["skipped", "skipped", "rendered", "rendered", "rendered"]);
  assert.equal(manifest.routes[0].reason, "dynamic");
});

test("a build without pre-rendered pages has nothing to write down", async () => {
  const root = await mkdtemp(path.join(tmpdir(), "routing-"));
  await writeRouting({ root, clientOutDir: path.join(root, "dist", "client"), plugins: vinext() });
  await rm(root, { recursive: true });
});
