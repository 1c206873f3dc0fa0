/**
 * Fresh data for pages that are kept.
 *
 * vinext's data cache (`unstable_cache`, `"use cache"`, `fetch`) returns stale data at once and refreshes it behind the response.
 * A page must not keep that data for its whole period. vinext's own regeneration waits for the fresh data. vinext-worker
 * regenerates by requests, for which vinext does not; so while one of those runs, stale data counts as absent. A visitor need
 * not wait: a page that was rendered for one from stale data says so, and vinext-worker renders it again.
 */
import { currentVisit } from "./visit.js";

/** Where vinext registers its data cache, which may happen before or after this, and more than once. */
const HANDLER = Symbol.for("vinext.cacheHandler");
const IS_WRAPPED = Symbol.for("vinext-worker.stale-data");

/** Let each data cache that vinext registers in this isolate hide stale data from renders for the cache. */
export function refreshStaleData() {
  if (Object.getOwnPropertyDescriptor(globalThis, HANDLER)?.set) return;
  let handler = wrapped(globalThis[HANDLER]);
  Object.defineProperty(globalThis, HANDLER, {
    configurable: true,
    enumerable: true,
    get: () => handler,
    set: (registered) => {
      if (!isSameMemory(handler, registered)) handler = wrapped(registered);
    },
  });
}

/**
 * Whether vinext's own memory is to be replaced with an empty one of the same size. vinext does so when it loads all of the app, at an
 * isolate's first request that is no GET, and would forget all data.
 */
function isSameMemory(handler, registered) {
  return (
    registered?.store instanceof Map &&
    registered.store.size === 0 &&
    registered.constructor === handler?.constructor &&
    registered.maxMemoryCacheSize === handler.maxMemoryCacheSize
  );
}

/** Return the handler itself, which others compare, with a `get` of its own. */
function wrapped(handler) {
  if (typeof handler?.get !== "function" || handler[IS_WRAPPED] || !Object.isExtensible(handler)) return handler;
  const get = handler.get;
  handler[IS_WRAPPED] = true;
  handler.get = async function (key, context) {
    const entry = await get.call(this, key, context);
    const visit = entry?.cacheState === "stale" ? currentVisit() : undefined;
    if (visit?.isForCache) return null;
    if (visit?.exchange?.keeps) visit.exchange.rendered.isOfStaleData = true;
    return entry;
  };
  return handler;
}
