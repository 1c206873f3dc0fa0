// Which entry a call of vinext's response stage is for; test_adapter.py runs this file. VINEXT_APP names an app with vinext.
import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import { forKeeping, isKnownProtocol, replayed, replayOf, resourceOf } from "../../adapters/vinext/resources.js";
import { BYPASS, ENVELOPE, metadata, page, request, routeHandler, shared } from "./stage_calls.mjs";

const cacheKeys = path.join(process.env.VINEXT_APP, "node_modules", "vinext", "dist", "server", "isr-cache.js");
const { appIsrCacheKey, appIsrHtmlKey, appIsrRouteKey, appIsrRscKey } = await import(pathToFileURL(cacheKeys));

const RSC = { isRscRequest: true };

const kept = [
  ["a page", page(), "/a", { path: "/a", part: "html", tagPath: "/a" }],
  ["the page at the root", page("/"), "/", { path: "/", part: "html", tagPath: "/" }],
  ["its payload", page("/a", RSC), "/a.rsc?_rsc", { path: "/a", part: "rsc", tagPath: "/a" }],
  ["a page that a rule has rewritten", page("/b", { cachePathname: "/a" }), "/a", { path: "/a", part: "html", tagPath: "/b" }],
  ["a route handler's answer", routeHandler("/api"), "/api", { path: "/api", part: "route", tagPath: "/api" }],
  ["a sitemap", metadata(), "/sitemap.xml", { path: "/sitemap.xml", part: "route", tagPath: "/sitemap.xml" }],
  ["a page with a slash at its end", page("/a/"), "/a/", { path: "/a", part: "html", tagPath: "/a" }],
  ["a route handler with one", routeHandler("/api/"), "/api/", { path: "/api", part: "route:trailing-slash", tagPath: "/api" }],
  ["a page with a query, which vinext knows it has not read", page("/a", { resolvedUrl: "/a?q=1" }), "/a?q=1", { path: "/a", part: "html", tagPath: "/a" }],
  ["a page with a policy of next.config, without a query", page(), "/a", { path: "/a", part: "html", tagPath: "/a" }, { keepsQuery: true }],
];
for (const [name, props, url, resource, how] of kept) {
  test(`kept: ${name}`, () => {
    const call = request(url);
    assert.deepEqual(resourceOf(call, props, shared(call, props, how)), { ...resource, isStorable: true });
  });
}

const neverKept = [
  ["an unknown version", page("/a", { protocolVersion: 14 })],
  ["an older version", page("/a", { protocolVersion: 12 })],
  ["no version", page("/a", { protocolVersion: undefined })],
  ["a version as text", page("/a", { protocolVersion: "13" })],
  ["the page for what is not found", { ...page("/a"), kind: "app-not-found" }],
  ["a whole request", { ...ENVELOPE, kind: "app-full-request" }],
  ["an API of the Pages Router", { ...ENVELOPE, kind: "pages-api", protocolVersion: 6 }],
  ["a kind that nobody knows", page("/a", { kind: "app-page-of-tomorrow" })],
];
for (const [name, props] of neverKept) {
  test(`never kept: ${name}`, () => {
    assert.equal(resourceOf(request(), props, shared(request(), props)), null);
    assert.equal(resourceOf(request(), props, BYPASS), null);
  });
}

test("shared, but vinext does not say under which identity", () => {
  assert.equal(resourceOf(request(), page(), { cache: "shared" }), null);
});

for (const props of [page(), page("/a", RSC), page("/a", { mountedSlotsHeader: "slot:modal:/" }), routeHandler("/a"), metadata("/a")]) {
  test(`a query that is a part of the identity is not in the key: ${props.kind}`, () => {
    const call = request("/a?q=1");
    const resource = resourceOf(call, props, shared(call, props, { keepsQuery: true }));
    assert.ok(resource === null || !resource.isStorable);
  });
}

test("a page with a policy of next.config is none for a query behind a middleware that has changed the request either", () => {
  const props = page("/a", { cacheability: { ...ENVELOPE.cacheability, policyHeaders: [["Cache-Control", "s-maxage=60"]] } });
  assert.equal(resourceOf(request("/a?q=1"), props, BYPASS), null);
  assert.equal(resourceOf(request("/a"), props, BYPASS).part, "html");
});

test("only the response to a GET is stored", () => {
  for (const props of [page(), routeHandler("/a"), metadata("/a")]) {
    const call = request("/a", { method: "HEAD" });
    assert.equal(resourceOf(call, props, shared(call, props)).isStorable, false);
  }
});

test("only the response to a visitor without credentials is stored, and only a whole one", () => {
  for (const props of [page(), page("/a", RSC), routeHandler("/a"), metadata("/a")]) {
    for (const headers of [{ Authorization: "Bearer x" }, { Range: "bytes=0-3" }]) {
      const call = request("/a", { headers });
      assert.equal(resourceOf(call, props, shared(call, props)).isStorable, false);
    }
  }
});

const changed = [
  ["middleware has changed the cookies", page("/a", { middlewareCookieOverlay: "a=1" }), {}, "html", true],
  ["middleware has changed the headers", page(), {}, "html", true],
  ["a route handler", routeHandler("/a"), {}, "route", true],
  ["HEAD", page(), { method: "HEAD" }, "html", false],
  ["a payload, which may be a part of it", page("/a", RSC), {}, "rsc", false],
  ["a query", page(), { query: "?q=1" }, "html", false],
];
for (const [name, props, { query = "", ...init }, part, isStorable] of changed) {
  test(`bypassed for what middleware has changed, which the page may not read: ${name}`, () => {
    const resource = resourceOf(request(`/a${query}`, init), props, BYPASS);
    assert.deepEqual(resource, { path: "/a", part, tagPath: "/a", isStorable });
  });
}

test("a nonce is in a page's HTML alone, so that the payload and a route handler's answer may be kept", () => {
  const payload = page("/a", { ...RSC, scriptNonce: "abc" });
  assert.deepEqual(resourceOf(request(), payload, BYPASS), { path: "/a", part: "rsc", tagPath: "/a", isStorable: false });
  assert.equal(replayed(replayOf(request(), payload, BYPASS))[1].scriptNonce, null);
  assert.equal(resourceOf(request(), routeHandler("/a", { scriptNonce: "abc" }), BYPASS).isStorable, true);
});

const bypassed = [
  ["draft mode", page("/a", { draftModeCookie: "__prerender_bypass=x" })],
  ["a nonce for scripts", page("/a", { scriptNonce: "abc" })],
  ["force-dynamic", page("/a", { forceDynamic: true })],
  ["an interception that is not proven", page("/a", { bypassInterceptionContextCache: true })],
  ["a sitemap", metadata("/a")],
  ["POST", page(), { method: "POST" }],
  ["a route handler's POST", routeHandler("/a"), { method: "POST" }],
  ["res.revalidate", page(), { headers: { "x-prerender-revalidate": "secret" } }],
  ["parameters of a pre-rendering", page(), { headers: { "x-vinext-prerender-route-params": "{}" } }],
];
for (const [name, props, init = {}] of bypassed) {
  test(`bypassed: ${name}`, () => assert.equal(resourceOf(request("/a", init), props, BYPASS), null));
}

const NAVIGATION = { mountedSlotsHeader: null, renderMode: "navigation", interceptionContext: null, interceptionId: null };
const SLOTS = "slot:modal:/ slot:team:/dashboard";
const variants = [
  ["none", {}],
  ["mounted slots", { mountedSlotsHeader: SLOTS }],
  ["interception", { interceptionContext: "/feed" }],
  ["an edge of interception", { interceptionContext: "/feed", interceptionId: "edge-1" }],
  ["a loading shell", { renderMode: "prefetch-loading-shell" }],
  ["a dynamic shell", { renderMode: "prefetch-dynamic-shell" }],
  ["nothing but a prefetch", { renderMode: "prefetch-empty" }],
  ["everything", { mountedSlotsHeader: SLOTS, interceptionContext: "/féed", interceptionId: "é", renderMode: "prefetch-loading-shell" }],
];
for (const [name, given] of variants) {
  for (const pathname of ["/", "/a", "/a/b c", `/${"long/".repeat(60)}`]) {
    test(`the payload's key is vinext's own: ${name}, ${pathname.slice(0, 10)}`, () => {
      const props = page(pathname, { ...RSC, ...NAVIGATION, ...given });
      const { path, part } = resourceOf(request(), props, shared(request(), props));
      const own = appIsrRscKey(pathname, props.mountedSlotsHeader, props.renderMode, props.interceptionContext, props.interceptionId);
      assert.equal(appIsrCacheKey(path, part), own);
    });
  }
}

test("the keys of documents and route handlers are vinext's own", () => {
  for (const pathname of ["/", "/a", "/a/", "/a/b"]) {
    const document = resourceOf(request(), page(pathname), shared(request(), page(pathname)));
    assert.equal(appIsrCacheKey(document.path, document.part), appIsrHtmlKey(pathname));
    const handler = resourceOf(request(), routeHandler(pathname), shared(request(), routeHandler(pathname)));
    assert.equal(appIsrCacheKey(handler.path, handler.part), appIsrRouteKey(pathname));
  }
});

test("a document's key does not depend on what selects payloads", () => {
  const props = page("/a", { mountedSlotsHeader: SLOTS });
  assert.equal(resourceOf(request(), props, shared(request(), props)).part, "html");
});

const VISITORS = {
  Authorization: "Bearer x",
  Cookie: "session=abc",
  "CF-Connecting-IP": "192.0.2.1",
  "Accept-Language": "de",
  "User-Agent": "Mozilla",
  "X-Forwarded-Host": "evil.example",
  "X-Middleware-Rewrite": "/secret",
  "X-Vinext-Anything": "theirs",
};

test("what is repeated has nothing of the visitor", () => {
  const headers = { ...VISITORS, Accept: "text/x-component", RSC: "1", "X-Vinext-Mounted-Slots": "slot:modal:/" };
  const call = request("/a?q=secret&_rsc=abc", { headers });
  const props = page("/a", { ...RSC, mountedSlotsHeader: "slot:modal:/", middlewareCookieOverlay: "session=abc", resolvedUrl: "/a?q=secret" });
  for (const options of [shared(call, props), shared(call, props, { keepsQuery: true })]) {
    const [again, itsProps] = anonymous(replayOf(call, props, options));
    const url = new URL(again.url);
    assert.deepEqual([again.method, url.pathname, url.search], ["GET", "/a", "?_rsc=abc"]);
    assert.deepEqual(Object.fromEntries(again.headers), { accept: "text/x-component", rsc: "1", "x-vinext-mounted-slots": "slot:modal:/" });
    const resource = resourceOf(call, props, shared(call, props));
    assert.deepEqual(resourceOf(again, itsProps, shared(again, itsProps)), { ...resource, isStorable: true });
  }
});

for (const url of ["/a?q=secret&_rsc=abc", "/a.rsc", "/.rsc", "/a"]) {
  test(`without an identity, the document is repeated: ${url}`, () => {
    const call = request(url, { headers: { ...VISITORS, Accept: "text/x-component" } });
    const path = url.startsWith("/a") ? "/a" : "/";
    const props = page(path, { isRscRequest: url !== "/a", renderMode: url === "/a" ? "navigation" : "prefetch-loading-shell", middlewareCookieOverlay: "session=abc" });
    const [again, itsProps] = anonymous(replayOf(call, props, BYPASS));
    const repeated = new URL(again.url);
    assert.deepEqual([repeated.pathname, repeated.search], [path, ""]);
    assert.equal(itsProps.isRscRequest, false);
    if (url !== "/a") assert.deepEqual([again.headers.get("accept"), again.headers.get("rsc"), itsProps.renderMode], ["text/html", null, "navigation"]);
  });
}

function anonymous(replay) {
  assert.doesNotMatch(replay, /secret|session|evil|Bearer|192\.0\.2|Mozilla|theirs/);
  const [again, props] = replayed(replay);
  assert.deepEqual([props.resolvedUrl, props.middlewareCookieOverlay], [props.canonicalPathname, null]);
  return [again, props];
}

test("what is repeated is what vinext says: the identity, or the call itself", () => {
  const props = page("/a", { params: { slug: "a" } });
  const options = shared(request(), props);
  assert.equal(new URL(replayed(replayOf(request(), props, options))[0].url).hostname, "cache-identity.vinext.invalid");
  assert.equal(replayed(replayOf(request(), props, options))[1].requestOrigin, "https://cache-identity.vinext.invalid");
  options.cacheIdentity.regenerateFromDispatch = true;
  assert.equal(new URL(replayed(replayOf(request(), props, options))[0].url).hostname, "example.org");
  assert.deepEqual(replayed(replayOf(request(), props, options))[1].params, { slug: "a" });
});

test("a HEAD is repeated as GET", () => {
  const call = request("/a", { method: "HEAD" });
  assert.equal(replayed(replayOf(call, routeHandler("/a"), shared(call, routeHandler("/a"))))[0].method, "GET");
});

const removed = [
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "x-host",
  "x-http-method-override",
  "x-method-override",
  "x-original-host",
  "x-original-url",
  "x-rewrite-url",
];
const ofTheOrigin = [
  "forwarded",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-prefix",
  "x-forwarded-proto",
  "x-forwarded-scheme",
  "x-forwarded-server",
];
const having = (names, value) => request("/a?q", { headers: Object.fromEntries(names.map((name) => [name, value])) });

test("by these headers no visitor changes what others get", () => {
  const call = having([...removed, ...ofTheOrigin, "accept", "cookie", "x-forwarded-for", "x-own"], "x");
  const cleaned = forKeeping(call, call, page());
  assert.deepEqual([...cleaned.headers.keys()], ["accept", "cookie", "x-forwarded-for", "x-own"]);
  assert.deepEqual([cleaned.url, cleaned.method], [call.url, "GET"]);
  assert.equal(call.headers.get("x-host"), "x");
});

test("those that middleware has written stay, but for what vinext takes the origin from", () => {
  const call = having([...removed, ...ofTheOrigin], "of middleware");
  for (const visitors of [request("/a"), having([...removed, ...ofTheOrigin], "x")]) {
    assert.deepEqual([...forKeeping(call, visitors, page()).headers.keys()], removed);
  }
});

test("a request without them is itself", () => {
  const call = request("/a", { headers: { Cookie: "a=1" } });
  assert.equal(forKeeping(call, call, page()), call);
});

test("each router's stages have a version of their own", () => {
  const known = [["app-page", 13], ["app-full-request", 13], ["hybrid-pages", 13], ["pages-page", 6], ["pages-api", 6]];
  for (const [kind, protocolVersion] of known) {
    assert.equal(isKnownProtocol({ kind, protocolVersion }), true, kind);
    assert.equal(isKnownProtocol({ kind, protocolVersion: protocolVersion + 1 }), false, kind);
  }
});
