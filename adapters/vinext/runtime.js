/**
 * The run-time half of the adapter. It stores no pages, and tells vinext-worker, in front of it, which pages may be stored.
 *
 * vinext imports this module by the path that `index.js` gives, and makes one instance per isolate.
 */
import { lastInvalidationKey, lastStaleKey, markerKey, staleMarkerKey } from "./keys.js";
import { forbidsSharing, NO_STORE, SHARED_POLICY } from "./policy.js";
import { refreshStaleData } from "./stale-data.js";
import { addRevalidations, currentVisit } from "./visit.js";

/** The header that lists the tags of a response that may be stored. */
const CACHE_TAGS = "X-Vinext-Cache-Tags";
const DEFAULT_KV_BINDING = "VINEXT_CACHE";

/** Milliseconds between tries: KV takes one write a second for a key, and the platform ends the work after 30 seconds. */
const PAUSES = [1000, 2000, 3000, 4000, 5000, 6000];

/** Next.js's number for a profile without an end. */
const LONGEST_SECONDS = 4294967294;

/** Return for how many seconds stale content may still be served: 0 is not at all. */
function staleSeconds(durations) {
  if (!durations) return 0;
  const seconds = durations.expire ?? LONGEST_SECONDS;
  return seconds > 0 ? Math.min(seconds, LONGEST_SECONDS) : 0;
}

/** Return whether a build is pre-rendering. The pages then belong to the build, and vinext's own rules apply. */
function isPrerendering() {
  return process.env.VINEXT_PRERENDER === "1";
}

/** The exchange of the running request, if its response may be kept. */
function kept() {
  const exchange = currentVisit()?.exchange;
  return exchange?.keeps ? exchange : undefined;
}

export default class VinextWorkerCacheAdapter {
  /** vinext-worker regenerates stale pages by requesting them. */
  ownsBackgroundRevalidation = false;
  /** vinext-worker keeps a page under its path, for every host and query. */
  responseStageCacheIdentity = "query-free";
  #kv;
  #appPrefix;

  constructor({ env, options } = {}) {
    this.assets = env?.ASSETS;
    this.#kv = env?.[options?.kvBinding ?? DEFAULT_KV_BINDING];
    this.#appPrefix = options?.appPrefix ?? "";
    refreshStaleData();
  }

  /** A page's headers wait until it is rendered completely, because it may turn out to be dynamic. */
  get requiresCompletedResponseAdmission() {
    return !isPrerendering();
  }

  /** There are no entries here. That vinext looks for one tells the exchange that there may be one. */
  async get() {
    return currentVisit()?.exchange?.entryForVinext() ?? null;
  }

  /**
   * vinext's manifest tells the period of a Pages Router page only where the source has it as a number, and says that any other page
   * never changes. So the period of each page that is pre-rendered is written down for `routing.js`.
   */
  async set(key, value, context) {
    const file = isPrerendering() && process.env.VINEXT_WORKER_PERIODS;
    const { revalidate, expire } = context?.cacheControl ?? {};
    if (!file || !key.startsWith("pages:") || revalidate === undefined) return;
    const { appendFileSync } = await import("node:fs");
    appendFileSync(file, `${JSON.stringify([key, { revalidate, expire }])}\n`);
  }

  buildResponseHeaders({ cacheControl, browserCacheControl, pendingDynamicCheck, tags }) {
    if (isPrerendering()) {
      return { "Cache-Control": pendingDynamicCheck ? NO_STORE : (browserCacheControl ?? cacheControl) };
    }
    if (pendingDynamicCheck || !cacheControl) return { "Cache-Control": NO_STORE, [SHARED_POLICY]: null, [CACHE_TAGS]: null };
    // The app's own Cache-Control says nothing of whether vinext takes the response for one that everybody may get.
    const isOwn = browserCacheControl && browserCacheControl !== cacheControl;
    return {
      "Cache-Control": isOwn ? browserCacheControl : cacheControl,
      [SHARED_POLICY]: isOwn ? cacheControl : null,
      [CACHE_TAGS]: forbidsSharing(cacheControl) || !tags?.length ? null : tags.map(encodeURIComponent).join(","),
    };
  }

  /** vinext renders a page's HTML from its RSC payload, so one render is enough for both. */
  captureAppPageRscData(rscData) {
    rscData.catch(() => {}); // nobody may ask for the payload, and then nobody awaits it
    const exchange = kept();
    if (exchange) exchange.rendered.payload = rscData;
  }

  /** The same for a request for the RSC payload. */
  captureAppPageDocument() {
    const exchange = kept();
    if (!exchange) return undefined;
    const { promise, resolve } = Promise.withResolvers();
    exchange.rendered.document = promise;
    return resolve;
  }

  /** The visitor does not wait until it is known whether the page may be kept. */
  deferCompletedPageResponseAdmission(response, complete) {
    return response.body ? (kept()?.admitLater(response, complete) ?? null) : null;
  }

  async revalidateTag(tags, durations) {
    const list = [tags].flat();
    const seconds = staleSeconds(durations);
    if (!addRevalidations(list, seconds)) await this.#writeMarkers(list, seconds);
  }

  /** Write the markers that vinext-worker would have written. No response is left to carry the tags. */
  async #writeMarkers(tags, seconds) {
    if (typeof this.#kv?.put !== "function") {
      console.error(
        `[vinext-worker-adapter] ${tags.join(", ")}: invalidated where no response can carry it (after it was sent, or ` +
          'because "main" in the wrangler configuration is not vinext-worker-adapter/worker), and no KV binding is there ' +
          "to write it to. Cached pages stay.",
      );
      return;
    }
    const now = Date.now();
    const isStale = seconds > 0;
    const expireAt = now + Math.floor(seconds * 1000);
    const keyOf = isStale ? staleMarkerKey : markerKey;
    const marker = (at) => (isStale ? `${at} ${expireAt}` : String(at));
    const times = isStale ? [lastInvalidationKey, lastStaleKey] : [lastInvalidationKey];
    await Promise.all([
      ...tags.map((tag) => this.#write(keyOf(tag, this.#appPrefix), marker, now)),
      ...times.map((key) => this.#write(key(this.#appPrefix), String, now)),
    ]);
  }

  /** Write until KV takes it. What is late states its own time, because it replaces what others have written meanwhile. */
  async #write(key, textAt, now) {
    for (const pause of [...PAUSES, null]) {
      try {
        return await this.#kv.put(key, textAt(now));
      } catch (error) {
        if (pause === null) {
          console.error(
            `[vinext-worker-adapter] ${key} could not be written (${error}): invalidated pages may stay. Invalidate again.`,
          );
          throw error;
        }
        await new Promise((resolve) => setTimeout(resolve, pause));
        now = Date.now();
      }
    }
  }
}
