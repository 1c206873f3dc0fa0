// The adapter by itself; test_adapter.py runs this file with Node's own test runner.
import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";

import { vinextWorkerCache } from "../../adapters/vinext/index.js";
import { hideMetadataPeriod } from "../../adapters/vinext/policy.js";
import Adapter from "../../adapters/vinext/runtime.js";
import { visiting } from "../../adapters/vinext/visit.js";

const STATIC = "s-maxage=31536000, stale-while-revalidate";
const NO_STORE = "no-store, must-revalidate";

const headerCases = [
  ["a policy and its tags", { cacheControl: "s-maxage=60", tags: ["a"] }, "s-maxage=60", "a"],
  ["each tag encoded on its own", { cacheControl: STATIC, tags: ["/b,c", "é %2C;"] }, STATIC, "%2Fb%2Cc,%C3%A9%20%252C%3B"],
  ["no tags", { cacheControl: STATIC, tags: [] }, STATIC, null],
  ["one for browsers", { cacheControl: "s-maxage=9", browserCacheControl: "max-age=0", tags: ["a"] }, "max-age=0", "a", "s-maxage=9"],
  ["the same for browsers", { cacheControl: "s-maxage=9", browserCacheControl: "s-maxage=9", tags: ["a"] }, "s-maxage=9", "a"],
  ["no-store, and one for browsers", { cacheControl: NO_STORE, browserCacheControl: "s-maxage=9" }, "s-maxage=9", null, NO_STORE],
  ["an empty policy", { cacheControl: "", tags: ["a"] }, NO_STORE, null],
  ["a page that may yet turn out dynamic", { cacheControl: STATIC, pendingDynamicCheck: true, tags: ["a"] }, NO_STORE, null],
  ["no-store", { cacheControl: "private, no-store, max-age=0", tags: ["a"] }, "private, no-store, max-age=0", null],
  ["private", { cacheControl: "private", tags: ["a"] }, "private", null],
  ["no-cache", { cacheControl: "max-age=0, no-cache", tags: ["a"] }, "max-age=0, no-cache", null],
];

for (const [name, input, cacheControl, cacheTags, shared = null] of headerCases) {
  test(`headers: ${name}`, () => {
    assert.deepEqual(new Adapter().buildResponseHeaders(input), {
      "Cache-Control": cacheControl,
      "X-Vinext-Shared-Cache-Control": shared,
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
  assert.equal(adapter.responseStageCacheIdentity, "query-free");
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

function namespace() {
  const written = {};
  return { written, put: async (key, value) => void (written[key] = value) };
}

test("after the response the markers are written to KV", async () => {
  const kv = namespace();
  const adapter = new Adapter({ env: { VINEXT_CACHE: kv } });
  const before = Date.now();
  let afterwards;
  visiting((visit) => {
    afterwards = AsyncLocalStorage.bind(() => adapter.revalidateTag(["a", "/b"]));
    visit.isOpen = false;
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

async function passSeconds(timers, seconds) {
  for (let second = 0; second < seconds; second++) {
    await setImmediate();
    timers.tick(1000);
  }
  await setImmediate();
}

test("what KV refuses is written later, with the time at which it is", async (context) => {
  for (const [profile, text] of [[undefined, "21000"], [{ expire: 60 }, "21000 60000"]]) {
    context.mock.timers.enable({ apis: ["setTimeout", "Date"], now: 0 });
    const kv = namespace();
    const put = async (key, value) => {
      if (Date.now() < 20_000) throw new Error("KV PUT failed: 429 Too Many Requests");
      await kv.put(key, value);
    };
    const written = new Adapter({ env: { VINEXT_CACHE: { put } } }).revalidateTag("a", profile);
    await passSeconds(context.mock.timers, 25);
    await written;
    assert.deepEqual(kv.written[profile ? "__swr:a" : "__tag:a"], text);
    assert.equal(kv.written["__last-invalidation"], "21000");
    context.mock.timers.reset();
  }
});

test("what could not be written in the end is logged, within the time of background work", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout", "Date"], now: 0 });
  const log = context.mock.method(console, "error", () => {});
  const tries = [];
  const put = async (key) => {
    if (key !== "__tag:a") return;
    tries.push(Date.now());
    throw new Error("KV PUT failed: 500");
  };
  const written = assert.rejects(new Adapter({ env: { VINEXT_CACHE: { put } } }).revalidateTag("a"), /500/);
  await passSeconds(context.mock.timers, 25);
  await written;
  assert.deepEqual(tries, [0, 1000, 3000, 6000, 10_000, 15_000, 21_000]);
  assert.equal(log.mock.callCount(), 1);
  assert.match(log.mock.calls[0].arguments[0], /__tag:a could not be written .* Invalidate again/);
});

test("without KV, what no response can carry is logged", async (context) => {
  const log = context.mock.method(console, "error", () => {});
  await new Adapter({ env: {} }).revalidateTag(["a", "b"]);
  assert.equal(log.mock.callCount(), 1);
  assert.match(log.mock.calls[0].arguments[0], /a, b: invalidated where no response can carry it/);
});

test("the descriptor names the adapter's modules, asks for stages and hands the options on", () => {
  const { adapter, options, output, capabilities } = vinextWorkerCache({ appPrefix: "shop" });
  for (const [module, name] of [[adapter, "runtime.js"], [output.entry, "stages.js"]]) {
    assert.ok(path.isAbsolute(module) && module.endsWith(path.join("adapters", "vinext", name)));
  }
  assert.deepEqual([output.type, capabilities], ["multi-stage", { requestRouting: "uncached-stage" }]);
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

const SHARED_POLICY = "X-Vinext-Shared-Cache-Control";
const METADATA = "public, max-age=0, must-revalidate";
const metadataCases = [
  ["a period", { "Cache-Control": STATIC }, METADATA, STATIC],
  ["a policy of the app's own", { "Cache-Control": "max-age=9", [SHARED_POLICY]: STATIC }, "max-age=9", STATIC],
  ["a shared one of the app's own", { "Cache-Control": "s-maxage=9", [SHARED_POLICY]: STATIC }, "s-maxage=9", STATIC],
  ["no-store", { "Cache-Control": NO_STORE }, NO_STORE, null],
  ["nothing", {}, null, null],
];
for (const [name, given, cacheControl, shared] of metadataCases) {
  test(`what a metadata route says to caches on the way: ${name}`, () => {
    const headers = new Headers(given);
    hideMetadataPeriod(headers);
    assert.deepEqual([headers.get("Cache-Control"), headers.get(SHARED_POLICY)], [cacheControl, shared]);
  });
}
