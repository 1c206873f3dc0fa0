// Calls of the response stage for pages of the Pages Router; test_adapter.py runs this file with Node's own test runner.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";

import Adapter from "../../adapters/vinext/runtime.js";
import { forKeeping, isOnDemand, replayed, replayOf, resourceOf } from "../../adapters/vinext/resources.js";
import { addPage, formatPages, visiting } from "../../adapters/vinext/visit.js";

const URL_OF = "https://example.com/blog/one";
const CACHEABILITY = { policyHeaders: null, probeMode: null, resolvedRoutePathname: "/blog/one" };
const ALONE = {
  buildId: "b",
  cacheability: CACHEABILITY,
  kind: "pages-page",
  protocolVersion: 6,
  renderOptions: null,
  requestHost: "example.com",
  resolvedUrl: "/blog/one",
  sharedAcrossHosts: true,
  stagedHeaders: null,
};
const BESIDE = {
  buildId: "b",
  cacheability: CACHEABILITY,
  isDataRequest: false,
  kind: "hybrid-pages",
  middlewareCookieOverlay: null,
  preHandlerHeaders: null,
  protocolVersion: 13,
  requestUrl: URL_OF,
  resolvedUrl: "/blog/one",
  resourceKind: "page",
  sharedAcrossHosts: true,
};
const ALONE_DATA = { renderOptions: { isDataReq: true, originalUrl: "/_next/data/b/blog/one.json" } };
const BESIDE_DATA = { isDataRequest: true };

function request(url = URL_OF, init = {}) {
  return new Request(url, init);
}

function shared(asked = request(), origin = "https://cache-identity.vinext.invalid") {
  return { cache: "shared", cacheIdentity: { regenerateFromDispatch: true, request: new Request(origin + new URL(asked.url).pathname), props: {} } };
}

for (const [name, props, data] of [
  ["alone", ALONE, ALONE_DATA],
  ["beside the App Router", BESIDE, BESIDE_DATA],
]) {
  test(`a page ${name} and its data are two parts of one path`, () => {
    const page = resourceOf(request(), props, shared());
    assert.deepEqual(page, { path: "/blog/one", part: "pages", tagPath: "/blog/one", isStorable: true });
    assert.deepEqual(resourceOf(request(), { ...props, ...data }, shared()), { ...page, part: "data" });
  });

  test(`a page ${name} that is kept is made without what identifies its first visitor`, () => {
    const asked = request(URL_OF, { headers: { Cookie: "user=ann", "X-Api-Key": "k", "Proxy-Authorization": "p", Accept: "text/html" } });
    assert.deepEqual([...forKeeping(asked, asked, { ...props, ...data }).headers.keys()], ["accept"]);
    const headers = [["x-own", "yes"]];
    const personal = { ...props, stagedHeaders: headers, preHandlerHeaders: headers };
    assert.equal(forKeeping(asked, asked, personal).headers.get("cookie"), "user=ann");
  });

  test(`a page ${name} that getStaticProps makes is kept whatever the query`, () => {
    const asked = request(`${URL_OF}?a=b`);
    const queried = { ...props, resolvedUrl: "/blog/one?a=b" };
    assert.equal(resourceOf(asked, queried, shared(asked)).isStorable, true);
    const made = { ...queried, preHandlerHeaders: [], stagedHeaders: [] };
    assert.equal(resourceOf(asked, made, shared(asked)).isStorable, false);
  });

  test(`a page ${name} is not kept from the answer to a visitor with credentials, to one who wants a part, or to a body`, () => {
    const unkept = [{ authorization: "Bearer x" }, { range: "bytes=0-3" }, { "content-length": "4" }, { "transfer-encoding": "chunked" }];
    for (const headers of unkept) {
      const asked = request(URL_OF, { headers });
      assert.equal(resourceOf(asked, props, shared(asked)).isStorable, false);
    }
    const empty = request(URL_OF, { headers: { "content-length": "0" } });
    assert.equal(resourceOf(empty, props, shared(empty)).isStorable, true);
  });

  test(`a request for data is repeated as one for the page ${name}`, () => {
    const asked = request(`https://example.com/base/_next/data/b/blog/one.json?slug=one`, { headers: { cookie: "a=b", host: "example.com" } });
    const dataProps = { ...props, ...data, resolvedUrl: "/blog/one?slug=one", cacheability: { ...CACHEABILITY, representation: "pages-data" } };
    const [again, made, isStored] = replayed(replayOf(asked, dataProps, shared(asked)));
    assert.equal(again.url, "https://example.com/base/blog/one");
    assert.equal(again.headers.get("cookie"), null);
    assert.deepEqual(made.cacheability, CACHEABILITY);
    assert.equal(made.resolvedUrl, "/blog/one");
    assert.equal(isStored, true);
    assert.equal(resourceOf(again, made, shared(again)).part, "pages");
  });

  test(`a response ${name} to a request that middleware has changed is not kept, but an entry may answer it`, () => {
    const bypass = { cache: "bypass" };
    const changed = { ...props, stagedHeaders: [["x-a", "b"]], preHandlerHeaders: [["x-a", "b"]] };
    assert.equal(resourceOf(request(), changed, bypass).isStorable, false);
    const nonce = [["content-security-policy", "script-src 'nonce-abc'"]];
    const refused = [
      [request(), { ...changed, stagedHeaders: nonce, preHandlerHeaders: nonce }],
      [request(URL_OF, { headers: { cookie: "a=b; __next_preview_data=x" } }), changed],
      [request(URL_OF, { headers: { cookie: "__prerender_bypass=x" } }), changed],
      [request(URL_OF, { headers: { "x-prerender-revalidate": "secret" } }), changed],
      [request(URL_OF, { method: "POST" }), changed],
    ];
    for (const [asked, given] of refused) assert.equal(resourceOf(asked, given, bypass), null);
  });
}

test("the path is decoded as in vinext's keys, without a slash at its end", () => {
  const at = (resolvedUrl) => resourceOf(request(), { ...ALONE, resolvedUrl }, shared()).path;
  assert.equal(at("/blog/%C3%A9t%C3%A9/"), "/blog/été");
  assert.equal(at("/a%2Fb%23%3F%5C"), "/a%2Fb%23%3F%5C");
  assert.equal(at("/a%252Fb"), "/a%252Fb");
  assert.equal(at("/a%25b"), "/a%b");
  assert.equal(at("/%E9"), "/%E9");
  assert.equal(at("/"), "/");
});

test("a domain of i18n is a part of the part", () => {
  assert.equal(resourceOf(request(), ALONE, shared(request(), "https://exemple.fr")).part, "pages:exemple.fr");
});

test("an API route is nothing that is kept", () => {
  assert.equal(resourceOf(request(), { ...BESIDE, resourceKind: "api" }, shared()), null);
  assert.equal(resourceOf(request(), { ...ALONE, kind: "pages-api" }, shared()), null);
  assert.equal(resourceOf(request(), { ...ALONE, protocolVersion: 7 }, shared()), null);
});

test("a page that was never made is not repeated as one that was", () => {
  assert.equal(replayed(replayOf(request(), ALONE, shared(), false))[2], false);
});

test("only vinext's own calls for res.revalidate are on demand", () => {
  const asked = request(URL_OF, { method: "HEAD", headers: { "x-prerender-revalidate": "secret" } });
  assert.equal(isOnDemand(asked, ALONE), true);
  assert.equal(isOnDemand(request(), ALONE), false);
  assert.equal(isOnDemand(asked, { ...ALONE, kind: "pages-api" }), false);
});

test("the pages that a request wants anew are listed once each, and not without end", () => {
  visiting((visit) => {
    for (let number = 0; number < 30; number++) addPage({ path: `/${number % 15}`, part: "pages" });
    const listed = JSON.parse(decodeURIComponent(formatPages(visit.pages)));
    assert.deepEqual(listed.map(({ path }) => path), ["/0", "/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8", "/9"]);
    visit.isOpen = false;
    addPage({ path: "/later" });
    assert.equal(visit.pages.size, 10);
  });
});

test("while a build pre-renders, the periods of the pages are written down", async (context) => {
  const folder = await mkdtemp(path.join(tmpdir(), "periods-"));
  context.after(() => rm(folder, { recursive: true }));
  const file = path.join(folder, "periods");
  process.env.VINEXT_WORKER_PERIODS = file;
  context.after(() => delete process.env.VINEXT_WORKER_PERIODS);
  const set = (key, cacheControl) => new Adapter().set(key, null, { cacheControl });
  await set("pages:v2:b:/live", { revalidate: 1 });
  process.env.VINEXT_PRERENDER = "1";
  context.after(() => delete process.env.VINEXT_PRERENDER);
  await set("pages:v2:b:/isr", { revalidate: 7, expire: 70 });
  await set("pages:v2:b:/", { revalidate: false });
  await set("app:v2:b:/:html", { revalidate: 9 });
  await new Adapter().set("pages:v2:b:/none", null);
  const lines = (await readFile(file, "utf8")).trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines, [["pages:v2:b:/isr", { revalidate: 7, expire: 70 }], ["pages:v2:b:/", { revalidate: false }]]);
});
