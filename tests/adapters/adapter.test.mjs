// The adapter by itself; test_adapter.py runs this file with Node's own test runner.
import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";

import { vinextWorkerCache } from "../../adapters/vinext/index.js";
import { addRevalidations, withRevalidatedTags } from "../../adapters/vinext/revalidations.js";
import Adapter from "../../adapters/vinext/runtime.js";

const STATIC = "s-maxage=31536000, stale-while-revalidate";
const NO_STORE = "no-store, must-revalidate";

const headerCases = [
  ["a policy and its tags", { cacheControl: "s-maxage=60", tags: ["a"] }, "s-maxage=60", "a"],
  ["each tag encoded on its own", { cacheControl: STATIC, tags: ["/b,c", "é %2C;"] }, STATIC, "%2Fb%2Cc,%C3%A9%20%252C%3B"],
  ["no tags", { cacheControl: STATIC, tags: [] }, STATIC, null],
  ["the policy of the shared cache, not the browser's", { cacheControl: "s-maxage=9", browserCacheControl: "max-age=0", tags: ["a"] }, "s-maxage=9", "a"],
  ["an empty policy", { cacheControl: "", tags: ["a"] }, NO_STORE, null],
  ["a page that may yet turn out dynamic", { cacheControl: STATIC, pendingDynamicCheck: true, tags: ["a"] }, NO_STORE, null],
  ["no-store", { cacheControl: "private, no-store, max-age=0", tags: ["a"] }, "private, no-store, max-age=0", null],
  ["private", { cacheControl: "private", tags: ["a"] }, "private", null],
  ["no-cache", { cacheControl: "max-age=0, no-cache", tags: ["a"] }, "max-age=0, no-cache", null],
];

for (const [name, input, cacheControl, cacheTags] of headerCases) {
  test(`headers: ${name}`, () => {
    assert.deepEqual(new Adapter().buildResponseHeaders(input), {
      "Cache-Control": cacheControl,
      "X-Vinext-Cache-Tags": cacheTags,
    });
  });
}

test("it keeps nothing and leaves making pages again to vinext-worker", async () => {
  const adapter = new Adapter();
  await adapter.set("key", null);
  assert.equal(await adapter.get("key"), null);
  assert.equal(adapter.ownsBackgroundRevalidation, false);
  assert.equal(adapter.requiresCompletedResponseAdmission, true);
});

test("while a build pre-renders it answers as vinext's default adapter does", (context) => {
  process.env.VINEXT_PRERENDER = "1";
  context.after(() => delete process.env.VINEXT_PRERENDER);
  const adapter = new Adapter();
  assert.equal(adapter.requiresCompletedResponseAdmission, false);
  assert.deepEqual(adapter.buildResponseHeaders({ cacheControl: STATIC, tags: ["a"] }), { "Cache-Control": STATIC });
  assert.deepEqual(adapter.buildResponseHeaders({ cacheControl: STATIC, browserCacheControl: "max-age=0" }), {
    "Cache-Control": "max-age=0",
  });
  assert.deepEqual(adapter.buildResponseHeaders({ cacheControl: STATIC, pendingDynamicCheck: true }), {
    "Cache-Control": NO_STORE,
  });
});

const revalidationCases = [
  ["nothing", [], null],
  ["one tag", [["products"]], "products"],
  ["several, encoded, each once", [[["/a,b", "é"]], ["é"]], "%2Fa%2Cb,%C3%A9"],
  ["a period", [["a", { expire: 60 }], ["b"]], "a;expire=60,b"],
  ["no period is the shortest, before", [["a"], ["a", { expire: 60 }]], "a"],
  ["no period is the shortest, after", [["a", { expire: 60 }], ["a"]], "a"],
  ["zero is no period", [["a", { expire: 0 }]], "a"],
  ["durations without a period", [["a", {}]], "a"],
];

const REVALIDATED_TAGS = "X-Vinext-Revalidated-Tags";

/** The header of a response whose request ran `handle`. */
async function revalidatedTags(handle, headers = {}) {
  const worker = withRevalidatedTags({
    async fetch() {
      await handle();
      return new Response("body", { status: 201, headers });
    },
  });
  const response = await worker.fetch(new Request("https://example.org"), {}, {});
  assert.equal(response.status, 201);
  assert.equal(await response.text(), "body");
  return response.headers.get(REVALIDATED_TAGS);
}

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
  const request = (tag) =>
    revalidatedTags(async () => {
      await turn();
      addRevalidations([tag]);
      await turn();
    });
  assert.deepEqual(await Promise.all(["a", "b", "c"].map(request)), ["a", "b", "c"]);
});

test("a header of that name which the app passes on is not believed", async () => {
  const passedOn = { [REVALIDATED_TAGS]: "theirs" };
  assert.equal(await revalidatedTags(async () => {}, passedOn), null);
  assert.equal(await revalidatedTags(async () => void addRevalidations(["ours"]), passedOn), "ours");
});

test("a response is passed on as it is where nothing was invalidated, cookies are kept where something was", async () => {
  const plain = new Response("body");
  assert.equal(await withRevalidatedTags({ fetch: () => plain }).fetch(), plain);
  const headers = new Headers([["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"]]);
  const fetch = () => (addRevalidations(["a"]), new Response(null, { status: 204, headers }));
  const response = await withRevalidatedTags({ fetch }).fetch();
  assert.deepEqual([response.status, response.headers.getSetCookie()], [204, ["a=1", "b=2"]]);
});

const KEPT = { "X-Vinext-Cache-Tags": "a", "Content-Length": "4", ETag: "e" };

/** What a request that asks for it gets of a page that has been rendered from `payload`. */
async function withPayload(payload, { wants = { "X-Vinext-Wants-Payload": "1" }, method = "GET", status = 200, headers = KEPT } = {}) {
  const fetch = () => {
    if (payload !== undefined) new Adapter({}).captureAppPageRscData(payload);
    return new Response("page", { status, headers });
  };
  const request = new Request("https://example.org", { headers: wants, method });
  const response = await withRevalidatedTags({ fetch }).fetch(request, {}, {});
  return [response.status, response.headers.get("X-Vinext-Payload-Bytes"), await response.text(), response];
}

const payload = () => Promise.resolve(new TextEncoder().encode("páyload").buffer);

test("a page brings its payload where that is asked for", async () => {
  const [status, bytes, text, response] = await withPayload(payload());
  assert.deepEqual([status, bytes, text], [200, "8", "pagepáyload"]);
  assert.equal(response.headers.get("ETag"), "e");
  assert.notEqual(response.headers.get("Content-Length"), "4");
});

const withoutPayload = [
  ["where nobody asks", payload, { wants: {} }],
  ["where there is none", () => undefined, {}],
  ["where it failed", () => Promise.reject(new Error("no payload")), {}],
  ["of what may not be kept", payload, { headers: { "Cache-Control": "no-store" } }],
  ["for HEAD", payload, { method: "HEAD" }],
  ["of an error", payload, { status: 404 }],
  ["where the app has made up the header", payload, { wants: {}, headers: { ...KEPT, "X-Vinext-Payload-Bytes": "2" } }],
];

for (const [name, given, options] of withoutPayload) {
  test(`a page comes alone ${name}`, async () => {
    const [status, bytes, text] = await withPayload(given(), options);
    assert.deepEqual([status, bytes, text], [options.status ?? 200, null, "page"]);
  });
}

test("a payload outside a request is nobody's", () => {
  new Adapter({}).captureAppPageRscData(Promise.reject(new Error("nobody waits")));
});

test("what else an entry exports stays", () => {
  const queue = () => {};
  assert.equal(withRevalidatedTags({ fetch: () => new Response(), queue }).queue, queue);
});

function namespace() {
  const written = {};
  return { written, put: async (key, value) => void (written[key] = value) };
}

test("after the response the markers are written to KV", async () => {
  const kv = namespace();
  const adapter = new Adapter({ env: { VINEXT_CACHE: kv } });
  const before = Date.now();
  let afterwards;
  await revalidatedTags(async () => {
    afterwards = AsyncLocalStorage.bind(() => adapter.revalidateTag(["a", "/b"], { expire: 60 }));
  });
  await afterwards();
  assert.deepEqual(Object.keys(kv.written), ["__tag:a", "__tag:/b", "__last-invalidation"]);
  assert.ok(Object.values(kv.written).every((time) => Number(time) >= before));
});

test("the options name the namespace and the prefix", async () => {
  const kv = namespace();
  await new Adapter({ env: { PAGES: kv }, options: { kvBinding: "PAGES", appPrefix: "shop" } }).revalidateTag("a");
  assert.deepEqual(Object.keys(kv.written), ["shop:__tag:a", "shop:__last-invalidation"]);
});

test("a time of the last invalidation that another has just written is good, another failure is not", async () => {
  for (const [message, isGood] of [["KV PUT failed: 429 Too Many Requests", true], ["KV PUT failed: 500", false]]) {
    const put = async (key) => {
      if (key === "__last-invalidation") throw new Error(message);
    };
    const written = new Adapter({ env: { VINEXT_CACHE: { put } } }).revalidateTag("a");
    await (isGood ? written : assert.rejects(written, /500/));
  }
});

test("without KV, what no response can carry is logged", async (context) => {
  const log = context.mock.method(console, "error", () => {});
  await new Adapter({ env: {} }).revalidateTag(["a", "b"]);
  assert.equal(log.mock.callCount(), 1);
  assert.match(log.mock.calls[0].arguments[0], /a, b: invalidated where no response can carry it/);
});

test("the descriptor names the runtime module and hands the options on", () => {
  const { adapter, options } = vinextWorkerCache({ appPrefix: "shop" });
  assert.ok(path.isAbsolute(adapter) && adapter.endsWith(path.join("adapters", "vinext", "runtime.js")));
  assert.deepEqual(options, { appPrefix: "shop" });
});

const wrongOptions = [
  [{ prefix: "a" }, /unknown option "prefix"; allowed: appPrefix, kvBinding/],
  [{ appPrefix: "" }, /appPrefix must be a non-empty string, got ""/],
  [{ kvBinding: 1 }, /kvBinding must be a non-empty string, got 1/],
];

for (const [options, message] of wrongOptions) {
  test(`wrong options are refused: ${JSON.stringify(options)}`, () => {
    assert.throws(() => vinextWorkerCache(options), { name: "TypeError", message });
  });
}

test("a Worker built without the adapter's entry fails the build", async (context) => {
  const outDir = await mkdtemp(path.join(tmpdir(), "adapter-"));
  context.after(() => rm(outDir, { recursive: true }));
  const { output } = vinextWorkerCache();
  const build = { root: outDir, outDir, isPrimaryServerOutput: true };
  await writeFile(path.join(outDir, "index.js"), "export default {};");
  await assert.rejects(output.finalizeBuildOutput(build), /Set "main" .* to "vinext-worker-adapter\/worker"/);
  await output.finalizeBuildOutput({ ...build, isPrimaryServerOutput: false });
  await writeFile(path.join(outDir, "chunk.js"), 'const header = "X-Vinext-Revalidated-Tags";');
  await output.finalizeBuildOutput(build);
});

test("only a Worker's build is checked", () => {
  const { matchesBuild } = vinextWorkerCache().output;
  assert.equal(matchesBuild({ plugins: [{ name: "vite-plugin-cloudflare:config" }] }), true);
  assert.equal(matchesBuild({ plugins: [{ name: "vinext" }, {}] }), false);
});
