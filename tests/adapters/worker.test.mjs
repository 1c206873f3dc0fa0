// The adapter's Worker entry around an app that is played; test_adapter.py runs this file.
import "./workers_loader.mjs";

import assert from "node:assert/strict";
import { test } from "node:test";

import { page, request, shared } from "./stage_calls.mjs";

const { default: VinextWorker, withVinextWorker, app } = await import("../../adapters/vinext/worker.js");
const { replayOf } = await import("../../adapters/vinext/resources.js");
const { default: Adapter } = await import("../../adapters/vinext/runtime.js");
const { addRevalidations, currentVisit, visitingInternally } = await import("../../adapters/vinext/visit.js");

const REVALIDATED_TAGS = "X-Vinext-Revalidated-Tags";
const POLICY = { "Cache-Control": "s-maxage=60", "X-Vinext-Cache-Tags": "a" };
const REPLAY = replayOf(request(), page(), shared(request(), page()));
const context = () => ({ waitUntil: () => {} });
const worker = (fetch, env = {}) => new (withVinextWorker({ fetch }))(context(), env);

/** An app whose request stage asks for the page at `/a`, as `stages.js` lets vinext ask. */
function staged(render) {
  return async (_request, env) => {
    const dispatch = currentVisit()?.exchange;
    const call = request();
    if (!dispatch) return await render(call, env);
    return await dispatch.dispatch(call, page(), shared(call, page()), () => render(call, env));
  };
}

/** The header of a response whose request ran `handle`. */
async function revalidatedTags(handle, headers = {}) {
  const response = await worker(async () => {
    await handle();
    return new Response("body", { status: 201, headers });
  }).fetch(request());
  assert.equal(response.status, 201);
  assert.equal(await response.text(), "body");
  return response.headers.get(REVALIDATED_TAGS);
}

const revalidationCases = [
  ["nothing", [], null],
  ["one tag", [["products"]], "products"],
  ["several, encoded, each once", [[["/a,b", "é"]], ["é"]], "%2Fa%2Cb,%C3%A9"],
  ["a period", [["a", { expire: 60 }], ["b"]], "a;expire=60,b"],
  ["no period is the shortest, before", [["a"], ["a", { expire: 60 }]], "a"],
  ["no period is the shortest, after", [["a", { expire: 60 }], ["a"]], "a"],
  ["zero is no period", [["a", { expire: 0 }]], "a"],
];
for (const [name, calls, header] of revalidationCases) {
  test(`revalidated tags: ${name}`, async () => {
    const adapter = new Adapter({ env: { VINEXT_CACHE: { put: assert.fail } } });
    const value = await revalidatedTags(async () => {
      for (const call of calls) await adapter.revalidateTag(...call);
    });
    assert.equal(value, header);
  });
}

test("requests at the same time have a list each", async () => {
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const asked = (tag) =>
    revalidatedTags(async () => {
      await turn();
      addRevalidations([tag]);
      await turn();
    });
  assert.deepEqual(await Promise.all(["a", "b", "c"].map(asked)), ["a", "b", "c"]);
});

test("vinext's requests to itself add to the list of the request that caused them", async () => {
  assert.equal(await revalidatedTags(() => visitingInternally(async () => addRevalidations(["a"]))), "a");
  assert.equal(visitingInternally(currentVisit), undefined);
});

test("a header of that name which the app passes on is not believed", async () => {
  const passedOn = { [REVALIDATED_TAGS]: "theirs" };
  assert.equal(await revalidatedTags(async () => {}, passedOn), null);
  assert.equal(await revalidatedTags(async () => void addRevalidations(["ours"]), passedOn), "ours");
});

test("a response is passed on as it is where nothing was invalidated, cookies are kept where something was", async () => {
  const plain = new Response("body");
  assert.equal(await worker(() => plain).fetch(request()), plain);
  const headers = new Headers([["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"]]);
  const response = await worker(() => (addRevalidations(["a"]), new Response(null, { status: 204, headers }))).fetch(request());
  assert.deepEqual([response.status, response.headers.getSetCookie()], [204, ["a=1", "b=2"]]);
});

test("the path of the check tells the build, and no other does", async () => {
  const build = async (path) => {
    const response = await worker(() => new Response("none", { status: 404 })).fetch(request(path));
    assert.deepEqual([response.status, await response.text()], [404, "none"]);
    return response.headers.get("X-Vinext-App-Build");
  };
  process.env.__VINEXT_BUILD_ID = "b1";
  try {
    assert.deepEqual([await build("/__vinext-worker-check"), await build("/a")], ["b1", null]);
  } finally {
    delete process.env.__VINEXT_BUILD_ID;
  }
});

test("after the response has left, nothing can be added to the list", async () => {
  let visit;
  await worker(() => ((visit = currentVisit()), new Response("body"))).fetch(request());
  assert.equal(visit.isOpen, false);
});

test("fetch does not pass a cache, whatever a visitor sends", async () => {
  const seen = [];
  const headers = { "X-Vinext-Wants-Payload": "1", "X-Vinext-Offer": "{}", "X-Vinext-Stage": "response", "X-Vinext-Cache-Tags": "theirs" };
  const response = await worker(() => (seen.push(currentVisit().exchange), new Response("page", { headers: POLICY }))).fetch(
    request("/a", { headers }),
  );
  assert.deepEqual([seen, await response.text()], [[undefined], "page"]);
  assert.equal(response.headers.get("X-Vinext-Payload-Bytes"), null);
});

test("serve answers with the entry that is offered, and with the tags that the request has invalidated", async () => {
  const fetch = (...call) => (addRevalidations(["a"]), staged(assert.fail)(...call));
  const offer = { path: "/a", part: "html", status: 200, headers: { "x-own": ["1"] } };
  const { about, response } = await worker(fetch).serve(request(), JSON.stringify(offer));
  assert.deepEqual(JSON.parse(about), { isHit: true });
  assert.deepEqual([response.headers.get("x-own"), response.headers.get(REVALIDATED_TAGS)], ["1", "a"]);
});

test("serve asks for what was not offered, and renders what there is no entry of", async () => {
  const answer = await worker(staged(() => new Response("page", { headers: POLICY }))).serve(request(), "");
  assert.deepEqual(JSON.parse(answer.about).asks, { path: "/a", part: "html", tagPath: "/a", isStorable: true });
  const resumed = await answer.resume('{"path": "/a", "part": "html"}');
  assert.equal(await resumed.response.text(), "page");
  const kept = await resumed.admitted();
  assert.equal(new TextDecoder().decode(kept.body), "page");
});

test("an offer that does not parse fails the call, not the app", () => {
  assert.throws(() => worker(assert.fail).serve(request(), "{"), SyntaxError);
});

test("a vinext-worker of another version gets the app's own response, which it may not keep", async () => {
  const fetch = staged(() => new Response("page", { headers: POLICY }));
  const { about, response, ...others } = await worker(fetch).serve(request(), "what it offers", 2);
  assert.deepEqual(JSON.parse(about), {
    unknown: "version 2 of the exchange with vinext-worker; this adapter speaks version 1",
  });
  assert.deepEqual([await response.text(), others], ["page", {}]);
});

test("what a page invalidates while it is rendered is in no entry", async () => {
  const fetch = staged(() => (addRevalidations(["a"]), new Response("page", { headers: POLICY })));
  const answer = await worker(fetch).serve(request(), '{"path": "/a", "part": "html", "isUnruled": true}');
  assert.equal(answer.response.headers.get(REVALIDATED_TAGS), "a");
});

test("render gives what may be kept, complete", async () => {
  const { status, headers, body } = await worker(staged(() => new Response("page", { headers: POLICY }))).render(request());
  assert.deepEqual([status, new TextDecoder().decode(body)], [200, "page"]);
  assert.equal(new Headers(JSON.parse(headers)).get("Cache-Control"), "s-maxage=60");
});

const notKept = [
  ["dynamic", staged(() => new Response("dynamic", { headers: { "Cache-Control": "no-store" } })), 200],
  ["the request stage's own", () => new Response("who are you?", { status: 401 }), 401],
  ["the request stage's own, with a policy", () => new Response("closed", { status: 404, headers: POLICY }), 404],
];
for (const [name, fetch, expected] of notKept) {
  test(`render says what may not be kept, without its body: ${name}`, async () => {
    const { status, headers, body } = await worker(fetch).render(request());
    assert.deepEqual([status, body], [expected, undefined]);
    assert.doesNotMatch(headers, /s-maxage/);
  });
}

test("replay renders for the cache what the request stage asked for, without the request stage", async () => {
  const calls = [];
  app.respond = async (...call) => (calls.push(call), new Response("page", { headers: POLICY }));
  const env = { A: 1 };
  const kept = await new (withVinextWorker({ fetch: assert.fail }))(context(), env).replay(REPLAY);
  assert.equal(new TextDecoder().decode(kept.body), "page");
  const [stageRequest, props, options, itsEnv] = calls[0];
  assert.deepEqual([new URL(stageRequest.url).pathname, props.kind, itsEnv], ["/a", "app-page", env]);
  assert.deepEqual(options, { cache: "shared", regeneratesStoredEntry: true, renderWholeDocument: true });
});

test("replay says what may not be kept any more, and whether it is a failure", async () => {
  for (const status of [200, 500]) {
    app.respond = async () => new Response("dynamic", { status, headers: { "Cache-Control": "no-store" } });
    const { headers, ...rest } = await worker(assert.fail).replay(REPLAY);
    assert.deepEqual([rest, new Headers(JSON.parse(headers)).get("Cache-Control")], [{ status }, "no-store"]);
  }
});

test("what else an entry handles stays", () => {
  const handled = [];
  const Entry = withVinextWorker({ fetch: () => new Response(), queue: (...call) => handled.push(call), other: 1 });
  const entry = new Entry("ctx", "env");
  entry.queue("batch");
  assert.deepEqual([handled, entry.other], [[["batch", "env", "ctx"]], undefined]);
});

test("the entry for vinext's own Worker calls its fetch", async () => {
  app.fetch = async (_request, env) => new Response(env.A);
  assert.equal(await (await new VinextWorker(context(), { A: "1" }).fetch(request())).text(), "1");
});
