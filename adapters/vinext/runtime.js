/**
 * The run-time half of the adapter: it keeps no pages, and tells vinext-worker, which stands in front, what it may keep.
 *
 * vinext imports this module by the path that `index.js` gives it, and makes one instance an isolate.
 */
import { lastInvalidationKey, markerKey } from "./keys.js";
import { addRevalidations, CACHE_TAGS, capturePayload } from "./revalidations.js";

const DEFAULT_KV_BINDING = "VINEXT_CACHE";
const NO_STORE = "no-store, must-revalidate";
const NOT_STORABLE = /(?:^|,)\s*(?:no-store|no-cache|private)\s*(?:,|$)/i;

/** While a build pre-renders, the pages belong to the build, and vinext's own rules must hold. */
function isPrerendering() {
  return process.env.VINEXT_PRERENDER === "1";
}

export default class VinextWorkerCacheAdapter {
  /** vinext-worker makes stale pages again, by asking for them. */
  ownsBackgroundRevalidation = false;
  #kv;
  #appPrefix;

  constructor({ env, options } = {}) {
    this.#kv = env?.[options?.kvBinding ?? DEFAULT_KV_BINDING];
    this.#appPrefix = options?.appPrefix ?? "";
  }

  /** A page says how long it may be kept only when it has been rendered to its end and has not turned out dynamic. */
  get requiresCompletedResponseAdmission() {
    return !isPrerendering();
  }

  async get() {
    return null;
  }

  async set() {}

  buildResponseHeaders({ cacheControl, browserCacheControl, pendingDynamicCheck, tags }) {
    if (isPrerendering()) {
      return { "Cache-Control": pendingDynamicCheck ? NO_STORE : (browserCacheControl ?? cacheControl) };
    }
    if (pendingDynamicCheck || !cacheControl) return { "Cache-Control": NO_STORE, [CACHE_TAGS]: null };
    if (NOT_STORABLE.test(cacheControl) || !tags?.length) return { "Cache-Control": cacheControl, [CACHE_TAGS]: null };
    return { "Cache-Control": cacheControl, [CACHE_TAGS]: tags.map(encodeURIComponent).join(",") };
  }

  /** vinext renders a page's HTML from its RSC payload: one render makes both. */
  captureAppPageRscData(rscData) {
    capturePayload(rscData);
  }

  async revalidateTag(tags, durations) {
    const list = [tags].flat();
    if (!addRevalidations(list, durations?.expire)) await this.#writeMarkers(list);
  }

  /** No response is left to tell vinext-worker: write what it would have written. */
  async #writeMarkers(tags) {
    if (typeof this.#kv?.put !== "function") {
      console.error(
        `[vinext-worker-adapter] ${tags.join(", ")}: invalidated where no response can carry it (after it was sent, or ` +
          'because "main" in the wrangler configuration is not vinext-worker-adapter/worker), and no KV binding is there ' +
          "to write it to. Cached pages stay.",
      );
      return;
    }
    const now = String(Date.now());
    const markers = tags.map((tag) => this.#kv.put(markerKey(tag, this.#appPrefix), now));
    // KV refuses a second write within a second: then somebody else has just written it.
    const last = this.#kv.put(lastInvalidationKey(this.#appPrefix), now).catch((error) => {
      if (!String(error).includes("429")) throw error;
    });
    await Promise.all([...markers, last]);
  }
}
