// Stale invalidations and stale data in the adapter; test_stale.py runs this file with Node's own test runner.
import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { test } from "node:test";

import Adapter from "../../adapters/vinext/runtime.js";
import { refreshStaleData } from "../../adapters/vinext/stale-data.js";
import { formatTags, visiting } from "../../adapters/vinext/visit.js";

const calls = [
  ["a period", [["a", { expire: 60 }], ["b"]], "a;expire=60,b"],
  ["a part of a second", [["a", { expire: 0.5 }]], "a;expire=0.5"],
  ["no period at all", [["a", {}]], "a;expire=4294967294"],
  ["a period without an end", [["a", { expire: Infinity }]], "a;expire=4294967294"],
  ["zero", [["a", { expire: 0 }]], "a"],
  ["a time that has passed", [["a", { expire: -1 }]], "a"],
  ["no number", [["a", { expire: NaN }]], "a"],
  ["the shortest", [["a", { expire: 60 }], ["a", { expire: 5 }], ["a", {}]], "a;expire=5"],
  ["none is the shortest", [["a", { expire: 60 }], ["a"]], "a"],
];

for (const [name, made, expected] of calls) {
  test(`revalidated tags: ${name}`, async () => {
    const adapter = new Adapter({ env: { VINEXT_CACHE: { put: assert.fail } } });
    const tags = await visiting(async (visit) => {
      for (const call of made) await adapter.revalidateTag(...call);
      return visit.tags;
    });
    assert.equal(formatTags(tags), expected);
  });
}

/** What the adapter writes to KV for an invalidation after the response. */
async function written(durations, options) {
  const stored = {};
  const env = { VINEXT_CACHE: { put: async (key, value) => void (stored[key] = value) } };
  const adapter = new Adapter({ env, options });
  let afterwards;
  visiting((visit) => {
    visit.isOpen = false;
    afterwards = AsyncLocalStorage.bind(() => adapter.revalidateTag(["a", "/b"], durations));
  });
  await afterwards();
  return stored;
}

test("after the response, the markers of a stale invalidation are written to keys of their own", async () => {
  const before = Date.now();
  const stored = await written({ expire: 60 }, { appPrefix: "shop" });
  assert.deepEqual(Object.keys(stored), ["shop:__swr:a", "shop:__swr:/b", "shop:__last-invalidation", "shop:__last-stale"]);
  const at = Number(stored["shop:__last-stale"]);
  assert.ok(at >= before);
  assert.equal(stored["shop:__last-invalidation"], String(at));
  assert.equal(stored["shop:__swr:a"], `${at} ${at + 60_000}`);
});

test("after the response, an invalidation at once has the markers that vinext knows", async () => {
  for (const durations of [undefined, { expire: 0 }]) {
    assert.deepEqual(Object.keys(await written(durations)), ["__tag:a", "__tag:/b", "__last-invalidation"]);
  }
});

const HANDLER = Symbol.for("vinext.cacheHandler");

class Data {
  #entries = { stale: { value: 1, cacheState: "stale" }, fresh: { value: 2 }, expired: { value: 3, cacheState: "expired" } };

  async get(key, context) {
    return context === "context" ? (this.#entries[key] ?? null) : undefined;
  }
}

const read = (key, isForCache) => visiting(() => globalThis[HANDLER].get(key, "context"), undefined, { isForCache });

for (const [when, register] of [
  ["before", () => ((globalThis[HANDLER] = new Data()), refreshStaleData())],
  ["after", () => (refreshStaleData(), (globalThis[HANDLER] = new Data()))],
  ["again after", () => (refreshStaleData(), (globalThis[HANDLER] = globalThis[HANDLER]), refreshStaleData())],
]) {
  test(`a render for the cache sees no stale data of a data cache that is registered ${when} the adapter`, async () => {
    register();
    assert.equal(await read("stale", true), null);
    assert.equal((await read("stale", false)).value, 1);
    assert.equal((await globalThis[HANDLER].get("stale", "context")).value, 1);
    for (const isForCache of [true, false]) {
      assert.equal((await read("fresh", isForCache)).value, 2);
      assert.equal((await read("expired", isForCache)).cacheState, "expired");
      assert.equal(await read("missing", isForCache), null);
    }
  });
}

test("a page that is kept for a visitor says whether its data was stale", async () => {
  const { Exchange } = await import("../../adapters/vinext/exchange.js");
  const shared = () => new Response("page", { headers: { "Cache-Control": "s-maxage=60" } });
  globalThis[HANDLER] = new Data();
  refreshStaleData();
  for (const [key, expected] of [["stale", "1"], ["fresh", undefined]]) {
    const exchange = new Exchange(null, null, () => {});
    const render = async () => (await globalThis[HANDLER].get(key, "context"), shared());
    const kept = await visiting(() => exchange.regenerate(render), exchange);
    assert.equal(Object.fromEntries(JSON.parse(kept.headers))["X-Vinext-Stale-Data"], expected);
  }
  const exchange = new Exchange(null, null, () => {});
  const render = async () => (assert.equal(await globalThis[HANDLER].get("stale", "context"), null), shared());
  const kept = await visiting(() => exchange.regenerate(render), exchange, { isForCache: true });
  assert.equal(Object.fromEntries(JSON.parse(kept.headers))["X-Vinext-Stale-Data"], undefined);
});

test("a data cache that cannot be changed, and none, stay as they are", () => {
  for (const handler of [Object.freeze({ get: () => 1 }), undefined, null]) {
    globalThis[HANDLER] = handler;
    assert.equal(globalThis[HANDLER], handler);
  }
});

test("vinext finds the data cache that it has registered", () => {
  const handler = new Data();
  globalThis[HANDLER] = handler;
  assert.equal(globalThis[HANDLER], handler);
});

/** As vinext's own memory is. */
class Memory {
  store = new Map();
  constructor(maxMemoryCacheSize = 100) {
    this.maxMemoryCacheSize = maxMemoryCacheSize;
  }
  async get(key) {
    return this.store.get(key);
  }
}

test("vinext's memory stays when vinext configures it again", () => {
  const handler = Symbol.for("vinext.cacheHandler");
  refreshStaleData();
  const memory = (globalThis[handler] = new Memory());
  memory.store.set("a", {});
  globalThis[handler] = new Memory();
  assert.equal(globalThis[handler], memory);
  for (const other of [new Memory(50), Object.assign(new Memory(), { store: new Map([["b", {}]]) }), { get: async () => null }]) {
    globalThis[handler] = other;
    assert.equal(globalThis[handler], other);
    globalThis[handler] = memory;
  }
});
