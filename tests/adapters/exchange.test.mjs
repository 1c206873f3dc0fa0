// What vinext-worker and the app tell each other about one request, with a response stage that is played; test_adapter.py runs
// this file.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { Exchange } from "../../adapters/vinext/exchange.js";
import { replayed } from "../../adapters/vinext/resources.js";
import Adapter from "../../adapters/vinext/runtime.js";
import { visiting } from "../../adapters/vinext/visit.js";
import { BYPASS, page, request, routeHandler, shared } from "./stage_calls.mjs";

const POLICY = { "Cache-Control": "s-maxage=60, stale-while-revalidate=540", "X-Vinext-Cache-Tags": "a" };
const NO_STORE = { "Cache-Control": "no-store, must-revalidate" };
const NOTHING = JSON.stringify({ path: "/a", part: "html" });
const text = (body, headers = POLICY, status = 200) => new Response(body, { status, headers });
const decoded = (buffer) => (buffer === null ? null : new TextDecoder().decode(buffer));

/**
 * An app whose request stage asks for the page at `/a`, unless `app` says otherwise, and puts a header onto each response. Its
 * response stage is `render`.
 */
async function serve({ offer = null, render = () => text("page"), app, call = request(), visitors = call, keepAlive = () => {} } = {}) {
  const exchange = new Exchange(visitors, offer, keepAlive);
  const dispatched = [];
  const dispatch = (stageRequest, props, options = shared(stageRequest, props)) =>
    exchange.dispatch(stageRequest, props, options, (...rendered) => {
      dispatched.push(rendered);
      return render(...rendered);
    });
  const answer = await visiting(
    () => exchange.answer(app ? app(dispatch) : dispatch(call, page()).then((response) => adding(response))),
    exchange,
  );
  return { answer, about: JSON.parse(answer.about), dispatched };
}

function adding(response, headers = { "X-Of-The-Visitor": "theirs", "Set-Cookie": "seen=1" }) {
  const changed = new Response(response.body, response);
  for (const [name, value] of Object.entries(headers)) changed.headers.set(name, value);
  return changed;
}

async function read({ status, headers, body, payload, document }) {
  const given = Object.fromEntries(JSON.parse(headers));
  return { status, headers: given, body: decoded(body), payload: decoded(payload), document: decoded(document) };
}

test("what the request stage answers itself is the app's own", async () => {
  const { answer, about } = await serve({ app: async () => text("who are you?", {}, 401) });
  assert.deepEqual(about, {});
  assert.deepEqual([answer.response.status, await answer.response.text()], [401, "who are you?"]);
  assert.equal(answer.admitted, undefined);
});

const ENTRY = { path: "/a", part: "html", status: 200, headers: { "content-type": ["text/html"], link: ["<a>", "<b>"] } };

test("the entry that is offered is answered with", async () => {
  const { answer, about, dispatched } = await serve({ offer: ENTRY });
  assert.deepEqual(about, { isHit: true });
  assert.deepEqual(dispatched, []);
  const { status, statusText, headers, body } = answer.response;
  assert.deepEqual([status, statusText, body, headers.get("link"), headers.get("x-of-the-visitor")], [200, "OK", null, "<a>, <b>", "theirs"]);
});

const CONFIG = { cacheability: { policyHeaders: [["Cache-Control", "public, max-age=11"], ["Vary", "X-Own"]] } };

test("an entry has the Cache-Control of next.config, which vinext's response stage puts on what it renders", async () => {
  const entry = { ...ENTRY, headers: { "cache-control": ["s-maxage=60"] } };
  const app = (dispatch) => dispatch(request(), page("/a", CONFIG));
  const { answer } = await serve({ offer: entry, app });
  assert.deepEqual([answer.response.headers.get("cache-control"), answer.response.headers.get("vary")], ["public, max-age=11", null]);
});

test("so has a page that is not kept for its query, but no redirect", async () => {
  const shown = async (status) => {
    const [call, props] = [request("/a?q=1"), page("/a", CONFIG)];
    const app = (dispatch) => dispatch(call, props, shared(call, props, { keepsQuery: true }));
    const { answer, about } = await serve({ app, render: () => new Response(null, { status, headers: NO_STORE }) });
    assert.deepEqual(about, {});
    return answer.response.headers.get("cache-control");
  };
  assert.deepEqual([await shown(200), await shown(307)], ["public, max-age=11", NO_STORE["Cache-Control"]]);
});

test("the policy of what is kept is the render's", async () => {
  const { answer } = await serve({ offer: JSON.parse(NOTHING), app: (dispatch) => dispatch(request(), page("/a", CONFIG)) });
  assert.equal(answer.response.headers.get("cache-control"), "public, max-age=11");
  assert.equal((await read(await answer.admitted())).headers["cache-control"], POLICY["Cache-Control"]);
});

test("an entry has its own status", async () => {
  const { answer } = await serve({ offer: { ...ENTRY, status: 404, headers: {} } });
  assert.equal(answer.response.status, 404);
});

test("an entry's cookies stay apart", async () => {
  const { answer } = await serve({ offer: { ...ENTRY, headers: { "set-cookie": ["a=1", "b=2"] } }, app: (dispatch) => dispatch(request(), page()) });
  assert.deepEqual(answer.response.headers.getSetCookie(), ["a=1", "b=2"]);
});

test("of a stale entry it is said how to render it again", async () => {
  const { about } = await serve({ offer: { ...ENTRY, isStale: true } });
  assert.equal(about.isHit, true);
  assert.equal(JSON.parse(about.replay).props.kind, "app-page");
});

test("a page that was not offered is asked for", async () => {
  for (const offer of [null, { ...ENTRY, path: "/other" }, { ...ENTRY, part: "rsc" }]) {
    const { answer, about, dispatched } = await serve({ offer });
    assert.deepEqual(about, { asks: { path: "/a", part: "html", tagPath: "/a", isStorable: true } });
    assert.deepEqual([answer.response, dispatched], [undefined, []]);
  }
});

test("a question is answered with an entry", async () => {
  const { answer } = await serve();
  const resumed = await answer.resume(JSON.stringify(ENTRY));
  assert.deepEqual(JSON.parse(resumed.about), { isHit: true });
  assert.equal(resumed.response.headers.get("x-of-the-visitor"), "theirs");
});

test("a question is answered with nothing, and the page is rendered", async () => {
  const { answer, dispatched } = await serve();
  const resumed = await answer.resume(NOTHING);
  const about = JSON.parse(resumed.about);
  assert.deepEqual(about.made, { path: "/a", part: "html", tagPath: "/a" });
  assert.equal(JSON.parse(about.replay).props.cachePathname, "/a");
  assert.equal(await resumed.response.text(), "page");
  assert.equal(resumed.response.headers.get("x-of-the-visitor"), "theirs");
  assert.equal(dispatched.length, 1);
});

test("an answer to a question for something else is asked again", async () => {
  const { answer } = await serve();
  const resumed = await answer.resume(JSON.stringify({ path: "/b", part: "html" }));
  assert.deepEqual(JSON.parse(resumed.about), { asks: { path: "/a", part: "html", tagPath: "/a", isStorable: true } });
  assert.ok(JSON.parse((await resumed.resume(NOTHING)).about).made);
});

test("an app that fails after the question fails the resumed call", async () => {
  const { answer } = await serve({ render: () => Promise.reject(new Error("no page")) });
  await assert.rejects(answer.resume(NOTHING), /no page/);
});

test("a request stage that fails fails the call", async () => {
  await assert.rejects(serve({ app: () => Promise.reject(new Error("no middleware")) }), /no middleware/);
});

test("what is rendered may be kept when it is complete, without what the request stage adds", async () => {
  const { answer } = await serve({ offer: { path: "/a", part: "html" } });
  const kept = await read(await answer.admitted());
  assert.deepEqual([kept.status, kept.body, kept.payload, kept.document], [200, "page", null, null]);
  assert.equal(kept.headers["x-vinext-cache-tags"], "a");
  assert.equal(kept.headers["x-of-the-visitor"], undefined);
  assert.equal(kept.headers["set-cookie"], undefined);
  assert.equal(await answer.response.text(), "page");
});

test("an entry that will be served without the request stage keeps what that adds, but the policy is the render's", async () => {
  const app = (dispatch) => dispatch(request(), page()).then((response) => adding(response, { "X-Frame-Options": "DENY", ...NO_STORE }));
  const { answer } = await serve({ offer: { path: "/a", part: "html", isUnruled: true }, app });
  const kept = await answer.admitted();
  const { headers } = await read(kept);
  assert.equal(headers["x-frame-options"], "DENY");
  assert.deepEqual(JSON.parse(kept.added), [["x-frame-options", "DENY"]]);
  assert.equal(headers["cache-control"], POLICY["Cache-Control"]);
  assert.equal(headers["x-vinext-cache-tags"], "a");
});

test("the page that is rendered beside its payload keeps the Content-Security-Policy of next.config", async () => {
  const added = { "Content-Security-Policy": "script-src 'self'", "Content-Language": "de", "Content-Length": "4" };
  const app = (dispatch) => dispatch(request(), page()).then((response) => adding(response, added));
  const { answer } = await serve({ offer: { path: "/a", part: "html", isUnruled: true }, app });
  const kept = await answer.admitted();
  assert.deepEqual(JSON.parse(kept.added), [
    ["content-language", "de"],
    ["content-security-policy", "script-src 'self'"],
  ]);
});

test("the query of the visitor for whom a payload was rendered is not kept", async () => {
  const call = request("/a?token=secret&_rsc");
  const shownAt = { "X-Vinext-Rendered-Path-And-Search": encodeURIComponent("/a%3Fb?token=secret") };
  const app = (dispatch) => dispatch(call, page("/a", { isRscRequest: true })).then((response) => adding(response, shownAt));
  const { answer } = await serve({ offer: { path: "/a", part: "rsc", isUnruled: true }, app });
  const kept = await answer.admitted();
  assert.equal((await read(kept)).headers["x-vinext-rendered-path-and-search"], encodeURIComponent("/a%3Fb"));
  assert.doesNotMatch(kept.headers + kept.added, /secret/);
  assert.equal(answer.response.headers.get("X-Vinext-Rendered-Path-And-Search"), shownAt["X-Vinext-Rendered-Path-And-Search"]);
});

const notShared = [
  ["no-store", NO_STORE],
  ["private", { "Cache-Control": "private, s-maxage=60" }],
  ["no-cache", { "Cache-Control": "s-maxage=60, no-cache" }],
  ["only for browsers", { "Cache-Control": "max-age=60" }],
  ["no policy", {}],
  ["no-store, whatever the app itself says", { "Cache-Control": "s-maxage=60", "X-Vinext-Shared-Cache-Control": "no-store" }],
];
for (const [name, headers] of notShared) {
  test(`what vinext does not share is not admitted: ${name}`, async () => {
    const { answer, about } = await serve({ offer: { path: "/a", part: "html" }, render: () => text("dynamic", headers) });
    assert.ok(about.made && about.replay);
    assert.equal(await answer.admitted(), null);
    assert.equal(await answer.response.text(), "dynamic");
  });
}

test("a response without a body is kept without one", async () => {
  const { answer } = await serve({ offer: { path: "/a", part: "html" }, render: () => text(null, { ...POLICY, Location: "/b" }, 308) });
  const kept = await read(await answer.admitted());
  assert.deepEqual([kept.status, kept.headers.location, kept.body], [308, "/b", null]);
});

/** A response stage that decides behind its response, as vinext does for a page of which it does not know yet. */
function deferring(adapter, decide, render = () => text("streamed", NO_STORE)) {
  return () => {
    const response = render();
    return adapter.deferCompletedPageResponseAdmission(response, decide) ?? decide(response);
  };
}
const completed = async (response) => text(await response.text(), POLICY);

test("vinext decides behind a response that streams already", async () => {
  const lasting = [];
  const given = { offer: { path: "/a", part: "html" }, render: deferring(new Adapter(), completed), keepAlive: (work) => lasting.push(work) };
  const { answer } = await serve(given);
  assert.equal(answer.response.headers.get("Cache-Control"), NO_STORE["Cache-Control"]);
  assert.equal(await answer.response.text(), "streamed");
  const kept = await read(await answer.admitted());
  assert.deepEqual([kept.body, kept.headers["cache-control"]], ["streamed", POLICY["Cache-Control"]]);
  assert.equal(lasting.length, 1);
  await Promise.all(lasting);
});

test("until then no cache on the way may keep it, whatever period the page has", async () => {
  const shared = { ...POLICY, "X-Vinext-Shared-Cache-Control": POLICY["Cache-Control"] };
  const render = deferring(new Adapter(), completed, () => text("hello ann", shared));
  const { answer } = await serve({ offer: { path: "/a", part: "html" }, render });
  const { headers } = answer.response;
  assert.equal(headers.get("Cache-Control"), NO_STORE["Cache-Control"]);
  assert.equal(headers.get("X-Vinext-Shared-Cache-Control"), null);
  assert.equal(await answer.response.text(), "hello ann");
  assert.equal((await read(await answer.admitted())).headers["cache-control"], POLICY["Cache-Control"]);
});

test("the first byte does not wait for the decision", async () => {
  const decision = Promise.withResolvers();
  const render = deferring(new Adapter(), async (response) => (await decision.promise, completed(response)));
  const { answer } = await serve({ offer: { path: "/a", part: "html" }, render });
  assert.equal(await answer.response.text(), "streamed");
  decision.resolve();
  assert.equal((await read(await answer.admitted())).body, "streamed");
});

test("it may decide against it, or fail", async () => {
  const dynamic = deferring(new Adapter(), async (response) => text(await response.text(), NO_STORE));
  const { answer } = await serve({ offer: { path: "/a", part: "html" }, render: dynamic });
  assert.equal(await answer.admitted(), null);
  const lasting = [];
  const failing = deferring(new Adapter(), () => Promise.reject(new Error("it broke off")));
  const failed = await serve({ offer: { path: "/a", part: "html" }, render: failing, keepAlive: (work) => lasting.push(work) });
  assert.equal(await failed.answer.response.text(), "streamed");
  await assert.rejects(failed.answer.admitted(), /it broke off/);
  await Promise.all(lasting);
});

/** A body that begins, and goes on when it is told to. */
function slow() {
  let controller;
  let isCancelled = false;
  const body = new ReadableStream({ start: (given) => void (controller = given), cancel: () => void (isCancelled = true) });
  const write = (part) => controller.enqueue(new TextEncoder().encode(part));
  write("begun");
  return { body, write, close: () => controller.close(), isCancelled: () => isCancelled };
}

const DIRECTLY = (body) => () => new Response(body, { headers: POLICY });
const BEHIND = (body) => deferring(new Adapter(), completed, () => new Response(body, { headers: POLICY }));

for (const [name, rendering] of [["directly", DIRECTLY], ["behind the visitor's response", BEHIND]]) {
  test(`a body that stalls is given up: ${name}`, async () => {
    const { body, write, close } = slow();
    const { answer } = await serve({ offer: { path: "/a", part: "html" }, render: rendering(body) });
    await assert.rejects(answer.admitted(20), /the body stalled after 5 bytes: nothing came for 20 ms/);
    write(" and done");
    close();
    assert.equal(await answer.response.text(), "begun and done", "the visitor's goes on");
  });

  test(`a body that comes slowly is kept: ${name}`, async () => {
    const { body, write, close } = slow();
    const { answer } = await serve({ offer: { path: "/a", part: "html" }, render: rendering(body) });
    const admitted = answer.admitted(1000);
    for (const part of " and goes on") {
      await new Promise((resolve) => setTimeout(resolve, 100));
      write(part);
    }
    close();
    assert.equal((await read(await admitted)).body, "begun and goes on");
  });
}

test("without a limit, a body is waited for", async () => {
  const { body, close } = slow();
  const { answer } = await serve({ offer: { path: "/a", part: "html" }, render: DIRECTLY(body) });
  setTimeout(close, 50);
  assert.equal((await read(await answer.admitted(0))).body, "begun");
});

test("nobody but the cache waits for a body that stalls: it is cancelled", async () => {
  const { body, isCancelled } = slow();
  const kept = new Exchange(null, null, () => {}).regenerate(DIRECTLY(body), 20);
  await assert.rejects(kept, /nothing came for 20 ms/);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.ok(isCancelled());
});

const DRAFT = page("/a", { draftModeCookie: "__prerender_bypass=x" });

test("where nobody keeps the page, vinext decides before its response", async () => {
  const adapter = new Adapter();
  assert.equal(adapter.deferCompletedPageResponseAdmission(text("page"), completed), null);
  const app = (dispatch) => dispatch(request(), DRAFT, BYPASS);
  const { answer } = await serve({ offer: { path: "/a", part: "html" }, app, render: deferring(adapter, completed) });
  assert.equal(answer.response.headers.get("Cache-Control"), POLICY["Cache-Control"]);
});

test("a response without a body is decided before", () => {
  const exchange = new Exchange(null, null, () => {});
  exchange.keeps = true;
  visiting(() => assert.equal(new Adapter().deferCompletedPageResponseAdmission(text(null), completed), null), exchange);
});

test("a page brings the payload that it was rendered from", async () => {
  const render = () => {
    new Adapter().captureAppPageRscData(Promise.resolve(new TextEncoder().encode("páyload").buffer));
    return text("page");
  };
  const { answer } = await serve({ offer: { path: "/a", part: "html" }, render });
  assert.deepEqual((await read(await answer.admitted())).payload, "páyload");
});

test("a page whose payload failed is kept alone", async () => {
  const render = () => {
    new Adapter().captureAppPageRscData(Promise.reject(new Error("no payload")));
    return text("page");
  };
  const { answer } = await serve({ offer: { path: "/a", part: "html" }, render });
  const { body, payload } = await read(await answer.admitted());
  assert.deepEqual([body, payload], ["page", null]);
});

test("a payload brings the document", async () => {
  const render = () => {
    const resolve = new Adapter().captureAppPageDocument();
    queueMicrotask(() => resolve({ html: "<p>é</p>" }));
    return text("payload");
  };
  const app = (dispatch) => dispatch(request("/a?_rsc"), page("/a", { isRscRequest: true }));
  const { answer } = await serve({ offer: { path: "/a", part: "rsc" }, app, render });
  const { body, document } = await read(await answer.admitted());
  assert.deepEqual([body, document], ["payload", "<p>é</p>"]);
});

test("a payload without a document is kept alone", async () => {
  const render = () => {
    new Adapter().captureAppPageDocument()(null);
    return text("payload");
  };
  const app = (dispatch) => dispatch(request("/a?_rsc"), page("/a", { isRscRequest: true }));
  const { answer } = await serve({ offer: { path: "/a", part: "rsc" }, app, render });
  assert.equal((await read(await answer.admitted())).document, null);
});

test("what is not kept is not captured", async () => {
  const seen = [];
  const render = () => {
    seen.push(new Adapter().captureAppPageDocument());
    new Adapter().captureAppPageRscData(Promise.resolve(new ArrayBuffer(1)));
    return text("page");
  };
  await serve({ app: (dispatch) => dispatch(request(), DRAFT, BYPASS), offer: { path: "/a", part: "html" }, render });
  new Adapter().captureAppPageRscData(Promise.reject(new Error("nobody waits")));
  assert.deepEqual([seen, new Adapter().captureAppPageDocument()], [[undefined], undefined]);
});

test("a response that is not kept in place of one that could be is missed", async () => {
  const call = request("/a", { method: "HEAD" });
  const { answer, about, dispatched } = await serve({ offer: { path: "/a", part: "html" }, app: (dispatch) => dispatch(call, page()) });
  assert.deepEqual(about.missed, { path: "/a", part: "html", tagPath: "/a" });
  assert.equal(replayed(about.replay)[0].method, "GET");
  assert.equal(answer.admitted, undefined);
  assert.equal(dispatched[0][2].cache, "bypass");
  assert.equal(await answer.response.text(), "page");
});

test("a payload that may be a part of it is missed as the document, with which it is rendered again", async () => {
  const props = page("/a", { isRscRequest: true, middlewareCookieOverlay: "a=1" });
  const { about } = await serve({ offer: { path: "/a", part: "rsc" }, app: (dispatch) => dispatch(request("/a?_rsc"), props, BYPASS) });
  assert.deepEqual(about.missed, { path: "/a", part: "html", tagPath: "/a" });
  assert.equal(replayed(about.replay)[1].isRscRequest, false);
});

test("a page behind a middleware that has changed the request is rendered as one that may be kept", async () => {
  const app = (dispatch) => dispatch(request(), page("/a", { middlewareCookieOverlay: "a=1" }), BYPASS);
  const { answer, about, dispatched } = await serve({ offer: { path: "/a", part: "html" }, app });
  assert.deepEqual(about.made, { path: "/a", part: "html", tagPath: "/a" });
  assert.equal(dispatched[0][2].cache, "shared");
  assert.equal((await read(await answer.admitted())).body, "page");
});

test("an entry answers where vinext bypasses the cache for the visitor's changed headers", async () => {
  const app = (dispatch) => dispatch(request(), page("/a", { middlewareCookieOverlay: "a=1" }), BYPASS);
  assert.deepEqual((await serve({ offer: ENTRY, app })).about, { isHit: true });
});

const uncacheable = [
  ["the page for what is not found", page("/a", { kind: "app-not-found" }), {}],
  ["a page for draft mode", page("/a", { draftModeCookie: "x" }), {}],
  ["a version that is not known", page("/a", { protocolVersion: 99 }), { unknown: "app-page of version 99" }],
];
for (const [name, props, expected] of uncacheable) {
  test(`never kept: ${name}`, async () => {
    const app = (dispatch) => dispatch(request(), props, props.draftModeCookie ? BYPASS : shared(request(), props));
    const { answer, about, dispatched } = await serve({ offer: ENTRY, app });
    assert.deepEqual(about, expected);
    assert.deepEqual([dispatched[0][2].cache, answer.admitted], ["bypass", undefined]);
    assert.equal(await answer.response.text(), "page");
  });
}

test("vinext-worker wants a new response, whatever its path: nobody waits for it", async () => {
  const offer = { isForCache: true, isUnruled: true };
  const { about, dispatched } = await serve({ offer, app: (dispatch) => dispatch(request("/b"), page("/b")) });
  assert.deepEqual(about.made, { path: "/b", part: "html", tagPath: "/b" });
  assert.equal(dispatched[0][2].renderWholeDocument, true);
});

test("a visitor's response streams", async () => {
  const { dispatched } = await serve({ offer: { path: "/a", part: "html" } });
  assert.equal(dispatched[0][2].renderWholeDocument, undefined);
});

test("several calls of the response stage: the last one counts, and each is asked for", async () => {
  const app = async (dispatch) => {
    await dispatch(request("/a"), page("/a"));
    return await dispatch(request("/b"), page("/b"));
  };
  const { answer } = await serve({ offer: { path: "/a", part: "html" }, app });
  assert.deepEqual(JSON.parse(answer.about).asks, { path: "/b", part: "html", tagPath: "/b", isStorable: true });
  const resumed = await answer.resume(JSON.stringify({ path: "/b", part: "html" }));
  assert.deepEqual(JSON.parse(resumed.about).made.path, "/b");
});

test("an offer serves once: the same page, asked for twice, is asked about", async () => {
  const app = async (dispatch) => {
    await dispatch(request(), page());
    return await dispatch(request(), page());
  };
  const { about } = await serve({ offer: ENTRY, app });
  assert.deepEqual(about.asks, { path: "/a", part: "html", tagPath: "/a", isStorable: true });
});

test("a response of the response stage that the app does not use is not what it answered", async () => {
  const app = async (dispatch) => {
    await dispatch(request(), page());
    await dispatch(request(), page("/a", { kind: "app-not-found" }));
    return text("own", {}, 404);
  };
  const { answer, about } = await serve({ offer: ENTRY, app });
  assert.deepEqual([about, answer.response.status], [{}, 404]);
});

test("by no header does a visitor change what others get", async () => {
  const headers = { "If-None-Match": '"a"', "X-Forwarded-Host": "evil.example", "X-Host": "evil", Cookie: "a=1", "X-Vinext-Cache-Tags": "t" };
  const { dispatched } = await serve({ offer: { path: "/a", part: "html" }, call: request("/a", { headers }) });
  assert.deepEqual([...dispatched[0][0].headers.keys()], ["cookie", "x-vinext-cache-tags"]);
});

test("what middleware has written itself, the app gets", async () => {
  const visitors = request("/a", { headers: { "X-Host": "evil" } });
  const call = request("/a", { headers: { "X-Host": "tenant", "X-Original-URL": "/a" } });
  const { dispatched } = await serve({ offer: { path: "/a", part: "html" }, call, visitors });
  assert.deepEqual(Object.fromEntries(dispatched[0][0].headers), { "x-host": "tenant", "x-original-url": "/a" });
});

for (const [name, value] of [["Authorization", "Bearer x"], ["Range", "bytes=0-3"]]) {
  test(`a visitor with this header gets an answer that is not kept, and the page is rendered beside it: ${name}`, async () => {
    const call = request("/a", { headers: { [name]: value, "X-Forwarded-Host": "theirs" } });
    const { answer, about, dispatched } = await serve({ offer: { path: "/a", part: "html" }, call });
    assert.equal(dispatched[0][0], call);
    assert.equal(dispatched[0][2].cache, "bypass");
    assert.deepEqual([about.made, about.missed], [undefined, { path: "/a", part: "html", tagPath: "/a" }]);
    assert.equal(replayed(about.replay)[0].headers.get(name), null);
    assert.equal(answer.admitted, undefined);
  });
}

/** A response stage that looks for the entry of a route handler's answer first, as vinext does if the handler has a period. */
function handling(run, { hasPeriod = true } = {}) {
  return async (...call) => {
    const entry = hasPeriod ? await new Adapter().get("/api:route") : null;
    return entry ? new Response(entry.value.body, { status: entry.value.status }) : run(...call);
  };
}
const API = { path: "/api", part: "route", tagPath: "/api" };
const asking = (call = request("/api")) => (dispatch) => dispatch(call, routeHandler("/api"));

test("a route handler's answer is kept for the shared cache's period, whatever it tells browsers", async () => {
  const policy = { "Cache-Control": "private, max-age=5", "X-Vinext-Shared-Cache-Control": "s-maxage=60" };
  const offer = { path: "/api", part: "route", isUnruled: true };
  const { answer } = await serve({ offer, app: asking(), render: handling(() => text("{}", policy)) });
  const { headers } = await read(await answer.admitted());
  assert.equal(headers["cache-control"], "private, max-age=5");
  assert.equal(headers["x-vinext-shared-cache-control"], "s-maxage=60");
});

test("a route handler's answer is kept too, and it runs once", async () => {
  let runs = 0;
  const render = handling(() => (runs++, text("{}")));
  const { answer } = await serve({ app: asking(), render });
  assert.deepEqual([JSON.parse(answer.about).asks, runs], [{ ...API, isStorable: true }, 0]);
  const resumed = await answer.resume(JSON.stringify({ path: "/api", part: "route" }));
  assert.deepEqual([JSON.parse(resumed.about).made, runs], [API, 1]);
  assert.equal((await read(await resumed.admitted())).body, "{}");
});

test("a route handler without a period is not asked about, and sees its request as it is", async () => {
  const call = request("/api", { headers: { Authorization: "Bearer x", "X-Forwarded-Host": "h", "If-None-Match": '"a"' } });
  const { answer, about, dispatched } = await serve({ app: asking(call), render: handling(() => text("{}", {}), { hasPeriod: false }) });
  assert.deepEqual(about, { dynamic: API });
  assert.equal(answer.admitted, undefined);
  assert.deepEqual([dispatched.length, dispatched[0][0], dispatched[0][2].cache], [1, call, "bypass"]);
  assert.equal(await answer.response.text(), "{}");
});

test("its answer streams", async () => {
  const { body, write, close } = slow();
  const { answer } = await serve({ app: asking(), render: handling(() => new Response(body), { hasPeriod: false }) });
  const parts = answer.response.body.getReader();
  assert.equal(decoded((await parts.read()).value), "begun");
  write(" and goes on");
  assert.equal(decoded((await parts.read()).value), " and goes on");
  close();
  assert.ok((await parts.read()).done);
});

for (const [name, headers, expected] of [
  ["made without the request", { ...POLICY, "X-Vinext-Cache": "MISS" }, API],
  ["made for this request alone", NO_STORE, undefined],
]) {
  test(`the answer to a query is not kept, and rendered without it only if vinext says so: ${name}`, async () => {
    const { answer } = await serve({ app: asking(request("/api?q=1")), render: handling(() => text("{}", headers)) });
    assert.deepEqual(JSON.parse(answer.about).asks, { ...API, isStorable: false });
    const resumed = await answer.resume(JSON.stringify({ path: "/api", part: "route" }));
    assert.deepEqual(JSON.parse(resumed.about).missed, expected);
    assert.equal(resumed.admitted, undefined);
  });
}

test("vinext finds no entry once the handler runs, or in any other visit", async () => {
  const found = [];
  const render = handling(async () => (found.push(await new Adapter().get("/b:html")), text("{}", {})));
  await serve({ offer: { path: "/api", part: "route" }, app: asking(), render });
  await serve({ offer: { path: "/a", part: "html" }, render: async () => (found.push(await new Adapter().get("/a:html")), text("page")) });
  assert.deepEqual([...found, await new Adapter().get("/api:route")], [null, null, null]);
});

test("a route handler whose entry is there is not loaded", async () => {
  const offer = { path: "/api", part: "route", status: 200, headers: {} };
  const { about, dispatched } = await serve({ offer, app: asking() });
  assert.deepEqual([about, dispatched], [{ isHit: true }, []]);
});

test("what is kept of a route handler or a metadata file says so, whatever its content type", async () => {
  const { answer } = await serve({ offer: { path: "/api", part: "route" }, app: asking(), render: handling(() => text("<p>", POLICY)) });
  const once = await read(await answer.admitted());
  const again = await read(await new Exchange(null, null, () => {}).regenerate(async () => text("<p>"), 0, true));
  assert.deepEqual([once.headers["X-Vinext-Artifact"], again.headers["X-Vinext-Artifact"]], ["route", "route"]);
  const shown = await serve({ offer: { path: "/a", part: "html" } });
  assert.equal((await read(await shown.answer.admitted())).headers["X-Vinext-Artifact"], undefined);
});

test("with cacheComponents, what is kept of a page that is not there says that its payload has the status 200", async (context) => {
  const kept = async (status) => {
    const { answer } = await serve({ offer: { path: "/a", part: "html" }, render: () => text("page", POLICY, status) });
    return (await read(await answer.admitted())).headers["X-Vinext-Payload-Status"];
  };
  assert.equal(await kept(404), undefined);
  process.env.__NEXT_CACHE_COMPONENTS = "true";
  context.after(() => delete process.env.__NEXT_CACHE_COMPONENTS);
  assert.deepEqual([await kept(404), await kept(200), await kept(307)], ["200", undefined, undefined]);
});

test("a route handler that fails fails the call", async () => {
  await assert.rejects(serve({ app: asking(), render: () => Promise.reject(new Error("no handler")) }), /no handler/);
});

test("what the cache has already is rendered again, with both artifacts", async () => {
  const exchange = new Exchange(null, null, () => {});
  const kept = await visiting(
    () =>
      exchange.regenerate(async () => {
        new Adapter().captureAppPageRscData(Promise.resolve(new TextEncoder().encode("payload").buffer));
        return text("page");
      }),
    exchange,
  );
  const { body, payload } = await read(kept);
  assert.deepEqual([body, payload], ["page", "payload"]);
});

test("what may not be kept any more comes with its status and without its body, and a failure is one", async () => {
  for (const status of [200, 500]) {
    const kept = await new Exchange(null, null, () => {}).regenerate(async () => text("dynamic", NO_STORE, status));
    assert.deepEqual(kept, { status, headers: '[["cache-control","no-store"]]' });
  }
  await assert.rejects(new Exchange(null, null, () => {}).regenerate(() => Promise.reject(new Error("no page"))), /no page/);
});

test("what vinext refuses in the end is not shared, whatever its first headers said", async () => {
  const exchange = new Exchange(null, null, () => {});
  const refusing = async (response) => (await response.text(), text("page", NO_STORE));
  const render = async () => new Adapter().deferCompletedPageResponseAdmission(text("page", POLICY), refusing);
  const kept = await visiting(() => exchange.regenerate(render), exchange);
  assert.deepEqual(kept, { status: 200, headers: '[["cache-control","no-store"]]' });
});

test("a body that nobody reads is cancelled", async () => {
  let isCancelled = false;
  const body = new ReadableStream({ pull: () => {}, cancel: () => void (isCancelled = true) });
  await new Exchange(null, null, () => {}).regenerate(async () => new Response(body, { headers: NO_STORE }));
  assert.ok(isCancelled);
});

const { cases } = JSON.parse(await readFile(new URL("../fixtures/stages/exchanges.json", import.meta.url), "utf8"));

for (const { name, stage, offers, steps } of cases) {
  test(`as the fake app of the Python tests does: ${name}`, async () => {
    const { own, part = "html", rewrite = "/a", keyPath = rewrite, method = "GET", isShared = true, isPersonal, unknown } = stage;
    const props = (part === "route" ? routeHandler : page)(rewrite, {
      cachePathname: keyPath,
      isRscRequest: part === "rsc",
      draftModeCookie: isPersonal ? "x" : null,
      protocolVersion: unknown ? 99 : 13,
    });
    const call = request("/a", { method });
    const app = own && (async () => text("own", {}, own));
    const asked = (dispatch) => dispatch(call, props, isPersonal ? BYPASS : shared(call, props));
    const run = () => text("page", isShared ? POLICY : NO_STORE);
    const render = part === "route" ? handling(run, { hasPeriod: !stage.hasNoPeriod }) : run;
    let { answer } = await serve({ offer: offers[0] || null, app: app ?? asked, render });
    for (const [index, step] of steps.entries()) {
      if (index > 0) answer = await answer.resume(JSON.stringify(offers[index]));
      assert.deepEqual(await shown(answer, step), step);
    }
  });
}

/** What a step says, as far as `expected` does. */
async function shown({ about, response, admitted }, expected) {
  const { asks, made, missed, dynamic, replay, ...rest } = JSON.parse(about);
  const resource = (given) => given && [given.path, given.part, given.tagPath];
  const said = { ...rest, asks: resource(asks), made: resource(made), missed: resource(missed), dynamic: resource(dynamic) };
  if (replay !== undefined) said.replays = true;
  if (asks?.isStorable === false) said.isStorable = false;
  if (said.isHit) said.status = response.status;
  if (expected.header !== undefined) said.header = response.headers.get("x-own");
  if (admitted) said.admits = (await admitted()) !== null;
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined));
}

test("what may be kept, and what may not, names the build that has rendered it", async () => {
  const kept = async (headers) => {
    const exchange = new Exchange(null, null, () => {});
    const { headers: pairs } = await exchange.regenerate(async () => text("page", headers));
    return new Headers(JSON.parse(pairs)).get("X-Vinext-App-Build");
  };
  assert.equal(await kept(POLICY), null);
  process.env.__VINEXT_BUILD_ID = "b1";
  try {
    for (const headers of [POLICY, NO_STORE]) assert.equal(await kept(headers), "b1");
  } finally {
    delete process.env.__VINEXT_BUILD_ID;
  }
});
