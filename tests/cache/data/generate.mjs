// Writes writes.json, reads.json, functions.json and seeds.json beside itself: what vinext's own code does with many inputs.
//
//   npm install vinext@0.0.38 into OLD/, vinext@1.4.0 and @vinext/cloudflare@1.0.0-beta.7 into NEW/, then:
//   node --preserve-symlinks generate.mjs OLD/node_modules NEW/node_modules
//
// The tests compare this project with these files, so that they need neither Node nor the packages.
import { readFileSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { resolve } from "node:path";

const [oldPackages, newPackages] = process.argv.slice(2).map((folder) => resolve(folder));
const load = (file) => import(file);
const v1 = await load(`${oldPackages}/vinext/dist/cloudflare/kv-cache-handler.js`);
const v1Hash = await load(`${oldPackages}/vinext/dist/utils/hash.js`);
const v1Keys = await load(`${oldPackages}/vinext/dist/server/isr-cache.js`);
const v2 = await load(`${newPackages}/@vinext/cloudflare/dist/cache/kv-data-adapter.runtime.js`);
const v2Storage = await load(`${newPackages}/@vinext/cloudflare/dist/cache/kv-key.js`);
const v2Hash = await load(`${newPackages}/vinext/dist/utils/hash.js`);
const v2Keys = await load(`${newPackages}/vinext/dist/server/isr-cache.js`);
const v2Paths = await load(`${newPackages}/vinext/dist/routing/utils.js`);
const v2Normalize = await load(`${newPackages}/vinext/dist/server/normalize-path.js`);
const v2Tag = await load(`${newPackages}/vinext/dist/utils/encode-cache-tag.js`);
const v2Implicit = await load(`${newPackages}/vinext/dist/server/implicit-tags.js`);

const NOW = 1700000000123;
Date.now = () => NOW;
console.error = () => {};
const here = new URL(".", import.meta.url);
const save = (name, rows) => writeFileSync(new URL(name, here), `[\n${rows.map((row) => JSON.stringify(row)).join(",\n")}\n]\n`);

// Inputs are JSON; {"$base64": …} stands for an ArrayBuffer and {"$number": "Infinity"} for that number.
function revive(node) {
  if (Array.isArray(node)) return node.map(revive);
  if (node === null || typeof node !== "object") return node;
  if ("$base64" in node) {
    const bytes = Buffer.from(node.$base64, "base64");
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  }
  if ("$number" in node) return Number(node.$number);
  return Object.fromEntries(Object.entries(node).map(([name, item]) => [name, revive(item)]));
}
const bytes = (array) => ({ $base64: Buffer.from(array).toString("base64") });

class Namespace {
  puts = [];
  values = new Map();
  deletes = [];
  async get(key) { return this.values.get(key) ?? null; }
  async put(key, value, options) { this.puts.push({ key, value, options }); }
  async delete(key) { this.deletes.push(key); }
}
async function write(Handler, { key, value, ctx, appPrefix }) {
  const kv = new Namespace();
  await new Handler(kv, { appPrefix }).set(key, revive(value), revive(ctx ?? {}));
  const put = kv.puts[0];
  return put === undefined ? null : { key: put.key, value: put.value, ttl: put.options.expirationTtl ?? null, metadata: put.options.metadata ?? null };
}

const strange = "\u0000\u0001\b\t\n\f\r\u001f \"\\/</script>\u007f\u0080é日本語🎉\u2028\u2029\ud800x\udc00\udfff\ud83c";
const numbers = [0, -0, 1, -1, 1.5, 0.1 + 0.2, 1e20, 123456789012345680000, 1e21, 1.5e300, 1e-6, 1.25e-7, 5e-324, 1.7976931348623157e308, 2 ** 53, 2 ** 53 + 2, -4503599627370496.5, 1 / 3];
const everyByte = bytes([...Array(256).keys()]);
const html = "<!DOCTYPE html><p>“é” \\u003c \"quoted\" \u2028 \u0000 🎉</p>\n";
const page = { kind: "APP_PAGE", html, status: 200 };
const fetched = { kind: "FETCH", data: { headers: { "content-type": "text/plain" }, body: strange, url: "https://example.com/?a=1&b=é" }, tags: ["products"], revalidate: 600 };
const tagsOfLength = (length) => { // {"tags":["…"]} of exactly that many characters
  const tags = [];
  let left = length - '{"tags":[]}'.length;
  while (left > 0) {
    const take = left > 300 ? 203 : left;
    tags.push("t".repeat(take - (tags.length ? 3 : 2)));
    left -= take;
  }
  return tags;
};
const writes = [
  ["page, no period", { key: "app:b:/:html", value: page }],
  ["page, empty html", { key: "app:b:/:html", value: { ...page, html: "" }, ctx: { revalidate: 60 } }],
  ["page, rsc with all bytes", { key: "app:b:/:rsc", value: { kind: "APP_PAGE", html: "", rscData: everyByte, status: 200 }, ctx: { revalidate: 60 } }],
  ["page, empty rsc", { key: "app:b:/:rsc", value: { kind: "APP_PAGE", html: "", rscData: bytes([]) }, ctx: { revalidate: 60 } }],
  ["page, html and rsc", { key: "app:b:/:rsc", value: { kind: "APP_PAGE", html, rscData: everyByte }, ctx: { revalidate: 60 } }],
  ["page, every field", { key: "app:b:/moved:html", value: { kind: "APP_PAGE", html, headers: { location: "/about", "x-list": ["a", strange] }, postponed: strange, status: 307, renderObservation: { numbers, nested: [null, true, { a: [] }] } }, ctx: { revalidate: 60, expire: 3600 } }],
  ["pages, least", { key: "pages:b:/legacy", value: { kind: "PAGES", html, pageData: {} }, ctx: { revalidate: 1 } }],
  ["pages, every field", { key: "pages:b:/legacy", value: { kind: "PAGES", html, pageData: { strange, numbers }, generatedFromDataRequest: true, headers: { "x-a": "b" }, status: 404 }, ctx: { revalidate: 1 } }],
  ["route", { key: "app:b:/api:route", value: { kind: "APP_ROUTE", body: everyByte, status: 200, headers: { "content-type": "application/json" } }, ctx: { revalidate: 10 } }],
  ["route, empty", { key: "app:b:/api:route", value: { kind: "APP_ROUTE", body: bytes([]), status: 204, headers: {} }, ctx: { revalidate: 10 } }],
  ["redirect", { key: "pages:b:/r", value: { kind: "REDIRECT", props: { pageProps: { __N_REDIRECT: "/about", __N_REDIRECT_STATUS: 308 } } } }],
  ["image", { key: "image:1", value: { kind: "IMAGE", etag: '"abc"', buffer: everyByte, extension: "webp" }, ctx: { revalidate: 60 } }],
  ["image with its own period", { key: "image:1", value: { kind: "IMAGE", etag: '"abc"', buffer: everyByte, extension: "webp", revalidate: 90 }, ctx: { revalidate: 60 } }],
  ["fetch", { key: "unstable_cache:products:[]", value: fetched, ctx: { tags: ["products", "catalog"], revalidate: 30 } }],
  ["fetch, never stale, asked for 30", { key: "f", value: { ...fetched, revalidate: false }, ctx: { revalidate: 30 } }],
  ["fetch, never stale", { key: "f", value: { ...fetched, revalidate: false } }],
  ["fetch, period 0", { key: "f", value: { ...fetched, revalidate: 0 }, ctx: { revalidate: 30 } }],
  ["fetch with status", { key: "f", value: { ...fetched, data: { ...fetched.data, status: 503 } } }],
  ["period 0", { key: "app:b:/:html", value: page, ctx: { revalidate: 0 } }],
  ["period false", { key: "app:b:/:html", value: page, ctx: { revalidate: false } }],
  ["period of half a second", { key: "app:b:/:html", value: page, ctx: { revalidate: 0.5 } }],
  ["expire below revalidate", { key: "app:b:/:html", value: page, ctx: { revalidate: 60, expire: 30 } }],
  ["expire without revalidate", { key: "app:b:/:html", value: page, ctx: { expire: 30 } }],
  ["stale", { key: "app:b:/:html", value: page, ctx: { revalidate: 60, expire: 300, stale: 5 } }],
  ["tombstone", { key: "app:b:/:html", value: null, ctx: { revalidate: 60, tags: ["a"] } }],
  ["invalid tags", { key: "app:b:/:html", value: page, ctx: { revalidate: 60, tags: ["ok", "", "a:b", "a\\b", "a\nb", "a\u0000", "x".repeat(256), "x".repeat(257), "/a/b", " ", "ok", "a,b"] } }],
  ["metadata of 1,024 characters", { key: "app:b:/:html", value: page, ctx: { tags: tagsOfLength(1024) } }],
  ["metadata of 1,025 characters", { key: "app:b:/:html", value: page, ctx: { tags: tagsOfLength(1025) } }],
  ["app prefix", { key: "app:b:/:html", appPrefix: "shop", value: page }],
];
const rows = [];
for (const [name, input] of writes) rows.push({ name, input, v1: await write(v1.KVCacheHandler, input), v2: await write(v2.KVCacheHandler, input) });
save("writes.json", rows);

const seeds = [];
for (const { key, value, ctx } of JSON.parse(readFileSync(new URL("../../fixtures/vinext/0.0.38/seed-dump.json", here))).entries) {
  const digest = (put) => ({ ...put, value: createHash("sha256").update(put.value).digest("hex") });
  seeds.push({ key, v1: digest(await write(v1.KVCacheHandler, { key, value, ctx })), v2: digest(await write(v2.KVCacheHandler, { key, value, ctx })) });
}
save("seeds.json", seeds);

const good = { value: page, tags: ["a"], lastModified: NOW - 1000, revalidateAt: NOW + 1000, expireAt: NOW + 2000, cacheControl: { revalidate: 2, expire: 3 } };
const without = (name) => Object.fromEntries(Object.entries(good).filter(([field]) => field !== name));
const stored = [
  ["good", good], ["without expireAt", without("expireAt")], ["without cacheControl", without("cacheControl")],
  ["stale", { ...good, revalidateAt: NOW - 1 }], ["revalidateAt now", { ...good, revalidateAt: NOW }],
  ["expired", { ...good, expireAt: NOW - 1 }], ["expireAt now", { ...good, expireAt: NOW }], ["expireAt null", { ...good, expireAt: null }],
  ["never stale", { ...good, revalidateAt: null }], ["tombstone", { ...good, value: null }],
  ["unknown fields", { ...good, more: [1], value: { ...page, more: { a: 1 } } }],
  ["marker at last modified", { ...good, tags: ["at"] }], ["marker before", { ...good, tags: ["before"] }], ["marker after", { ...good, tags: ["after"] }],
  ["marker that is no number", { ...good, tags: ["text"] }], ["second tag invalidated", { ...good, tags: ["a", "after"] }],
  ["no tags", { ...good, tags: [] }],
  ...["value", "tags", "lastModified", "revalidateAt"].map((name) => [`without ${name}`, without(name)]),
  ...["value", "tags", "lastModified", "revalidateAt", "expireAt", "cacheControl"].flatMap((name) => ["x", true, {}, []].map((item) => [`${name} ${JSON.stringify(item)}`, { ...good, [name]: item }])),
  ["lastModified null", { ...good, lastModified: null }], ["tags null", { ...good, tags: null }], ["cacheControl null", { ...good, cacheControl: null }],
  ["cacheControl.revalidate text", { ...good, cacheControl: { revalidate: "2" } }], ["cacheControl.expire text", { ...good, cacheControl: { revalidate: 2, expire: "3" } }],
  ["cacheControl.stale text", { ...good, cacheControl: { revalidate: 2, stale: "3" } }],
  ["unknown kind", { ...good, value: { ...page, kind: "APP" } }], ["no kind", { ...good, value: { html } }], ["kind of an object's method", { ...good, value: { kind: "toString" } }],
  ...["", "QQ==", "QUI=", "QUJD", "QR==", "Q", "QQ", "QQ=", "Q===", "====", "QQ==QQ==", "QUJD\n", "QU-_", "QU JD", "=QQQ", "QQ=Q", "é===", "QUJDR"].map((text) => [`base64 ${JSON.stringify(text)}`, { ...good, value: { kind: "APP_ROUTE", body: text, status: 200, headers: {} } }]),
  ["rscData that is no base64", { ...good, value: { kind: "APP_PAGE", html: "", rscData: "%" } }], ["buffer that is no base64", { ...good, value: { kind: "IMAGE", etag: "", buffer: "%", extension: "png" } }],
].map(([name, entry]) => [name, JSON.stringify(entry)]).concat([
  ["text", "hello"], ["null", "null"], ["a number", "5"], ["an array", "[]"], ["cut off", JSON.stringify(good).slice(0, -1)], ["NaN", JSON.stringify(good).replace(/"lastModified":\d+/, '"lastModified":NaN')],
  ["single quotes", "{'a':1}"], ["comma at the end", '{"a":1,}'], ["white space around", ` \n${JSON.stringify(good)}\t`], ["two documents", "{}{}"],
]);
const markers = { at: good.lastModified, before: good.lastModified - 1, after: good.lastModified + 1, text: "soon" };
const reads = [];
for (const [name, text] of stored) {
  const row = { name, text };
  for (const [schema, Handler] of [["v1", v1.KVCacheHandler], ["v2", v2.KVCacheHandler]]) {
    const kv = new Namespace();
    kv.values.set("cache:k", text);
    for (const [tag, marker] of Object.entries(markers)) kv.values.set(`__tag:${tag}`, String(marker));
    const found = await new Handler(kv).get("k").catch(() => "error");
    row[schema] = found === "error" ? "error" : found === null ? "miss" : (found.cacheState ?? "fresh");
    row[`${schema}Deletes`] = kv.deletes.length > 0;
  }
  reads.push(row);
}
save("reads.json", reads);

let state = 12345;
const random = (below) => { state = (Math.imul(state, 1103515245) + 12345) >>> 0; return (state >>> 8) % below; };
const pieces = ["/", "/", "%", "%2F", "%2f", "%25", "%252F", "%23", "#", "?", "%3f", "\\", "%5C", "%C3%A9", "%C3", "%28", "%zz", "%F0%9F%8E%89", "%ED%A0%80", "%C0%AF", "é", "日", "🎉", "\ud800", "\udc00", ".", "..", "//", "/./", "/../", "a", "blog", "[slug]", "x".repeat(60), " ", "+", ":", "%00", "\u0000", "\u007f", ",", "~", "\t", "\n", "%7E", "@modal", "(group)"];
const text = (most) => Array.from({ length: random(most) }, () => pieces[random(pieces.length)]).join("");
const functions = [];
for (const number of [...numbers, ...Array.from({ length: 150 }, () => (random(2 ** 24) - 2 ** 23) * 10 ** (random(60) - 30)), ...Array.from({ length: 50 }, () => random(2 ** 24) / (1 + random(2 ** 24)))]) functions.push({ of: "number", in: number, out: JSON.stringify(number) });
for (let index = 0; index < 250; index++) {
  const raw = text(14);
  const path = `/${raw}`;
  const build = ["", "b1", "9f3a"][random(3)];
  const prefix = random(4) ? "" : ["shop", "é".repeat(20), "p".repeat(470), "p".repeat(485), "日".repeat(170)][random(5)];
  const decoded = v2Normalize.normalizePath(v2Paths.normalizePathnameForRouteMatch(path));
  const segments = raw.split("/").slice(0, 4);
  const space = v2Storage.createKvKeySpace(prefix);
  functions.push(
    { of: "string", in: raw, out: JSON.stringify(raw) },
    { of: "decode", in: path, out: v2Paths.normalizePathnameForRouteMatch(path) },
    { of: "normalize", in: path, out: decoded },
    { of: "key", in: [build, decoded, path], out: [v1Keys.isrCacheKey("pages", decoded, build), v2Keys.appIsrCacheKey(decoded, "html", build), v2Keys.appIsrCacheKey(decoded, "rsc", build), v2Keys.pagesIsrCacheKey(path, build), v2Keys.pagesIsrCacheKey(path, build, "fr:é")] },
    { of: "hash", in: raw, out: [v1Hash.fnv1a64(raw), v2Hash.fnv1a64(raw), await v2Hash.sha256Hex(raw)] },
    { of: "storage", in: [prefix, raw + "日".repeat(random(3) * 80)].map(String), out: null },
    ...(raw.isWellFormed() ? [{ of: "tags", in: [decoded, segments], out: [v2Implicit.buildPageCacheTags(decoded, ["extra", "/"], segments, "page"), v2Implicit.buildPageCacheTags(decoded, [], segments, "route")] }] : []),
  );
  const storage = functions.findLast((row) => row.of === "storage");
  storage.out = [space.entryKey(storage.in[1]), space.tagKey(storage.in[1]), space.entryPrefix];
  try { functions.push({ of: "encode", in: raw, out: v2Tag.encodeCacheTag(raw) }); } catch { /* a lone surrogate: vinext raises */ }
  const valid = await write(v1.KVCacheHandler, { key: "k", value: null, ctx: { tags: [raw] } });
  functions.push({ of: "valid", in: raw, out: valid.metadata === null ? null : valid.metadata.tags.length === 1 });
}
save("functions.json", functions);

// Sequences of operations on one namespace, with what each handler answered and what the namespace held at the end.
class TimedNamespace {
  values = new Map();
  async get(key) {
    const found = this.values.get(key);
    return found === undefined || (found.expires !== null && found.expires <= now) ? null : found.value;
  }
  async put(key, value, { expirationTtl, metadata } = {}) {
    const expires = expirationTtl === undefined ? null : (Math.floor(now / 1000) + expirationTtl) * 1000;
    this.values.set(key, { value, expires, metadata });
  }
  async delete(key) { this.values.delete(key); }
  async list({ prefix }) {
    const keys = [...this.values].filter(([name]) => name.startsWith(prefix)).map(([name, { metadata }]) => ({ name, metadata }));
    return { keys, list_complete: true };
  }
}
let now = NOW;
Date.now = () => now;
const pick = (...items) => items[random(items.length)];
const tagNames = ["a", "b", "c", "/docs/1", "_N_T_/docs/1", "_N_T_/docs/layout", "_N_T_/layout", "/blog", "_N_T_/blog/page"];
const someTags = () => tagNames.filter(() => random(4) === 0);
let count = 0;
const someValue = () => pick(
  { kind: "APP_PAGE", html: `page ${++count}`, status: 200 },
  { kind: "APP_PAGE", html: "", rscData: bytes([count % 256, 255]), headers: { "x-a": ["1", "2"] }, status: 307 },
  { kind: "APP_ROUTE", body: bytes([count % 256]), status: 200, headers: { "content-type": "text/plain" } },
  { kind: "PAGES", html: `pages ${++count}`, pageData: { count } },
  { kind: "REDIRECT", props: { count: ++count } },
  { kind: "IMAGE", etag: `"${++count}"`, buffer: bytes([1, 2]), extension: "png" },
  { kind: "FETCH", data: { headers: {}, body: `${++count}`, url: "u" }, tags: someTags(), revalidate: pick(false, 30, 600) },
  null,
);
const sequences = [];
for (let index = 0; index < 60; index++) {
  const schema = index % 2 ? "v2" : "v1";
  const kv = new TimedNamespace();
  const Handler = (schema === "v1" ? v1 : v2).KVCacheHandler;
  now = NOW;
  const handlers = [new Handler(kv), new Handler(kv)]; // two isolates
  const operations = [];
  for (let step = 0; step < 60; step++) {
    const by = random(2);
    const key = pick("k1", "k2", "k3", "k4");
    const after = pick(1, 1, 100, 3000, 5000, 5001, 31000, 61000, 700000);
    now += after;
    const operation = { after, by };
    switch (random(7)) {
      case 0: case 1: {
        const ctx = { tags: someTags(), ...pick({}, { revalidate: 30 }, { revalidate: 60, expire: 300 }, { revalidate: false }, { revalidate: 0 }) };
        const value = someValue();
        Object.assign(operation, { do: "set", key, value, ctx });
        await handlers[by].set(key, revive(value), ctx);
        break;
      }
      case 2: {
        const tags = [pick(...tagNames)];
        Object.assign(operation, { do: "revalidate_tag", tags });
        await handlers[by].revalidateTag(tags);
        break;
      }
      case 3: if (random(3) === 0) {
        const prefix = pick("/docs", "/blog", "/blo");
        Object.assign(operation, { do: "revalidate_by_path_prefix", prefix });
        await handlers[by].revalidateByPathPrefix(prefix);
        break;
      } // falls through
      default: {
        const ctx = schema === "v2" && random(4) === 0 ? { softTags: someTags(), revalidate: pick(undefined, 10, 1000) } : {};
        const found = await handlers[by].get(key, ctx);
        await new Promise((done) => setImmediate(done)); // deletes in the background
        Object.assign(operation, { do: "get", key, ctx, found: found === null ? null : { state: found.cacheState ?? "fresh", lastModified: found.lastModified, digest: createHash("sha256").update(await kv.get(`cache:${key}`)).digest("hex").slice(0, 16) } });
      }
    }
    operations.push(operation);
  }
  sequences.push({ schema, operations });
}
save("sequences.json", sequences);
