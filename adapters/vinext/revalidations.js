/**
 * What one request has invalidated so far. The wrapped Worker opens a list around each request, the adapter adds to
 * it, and it is closed when the response's headers leave: from then on nothing can be added.
 *
 * The storage is kept on `globalThis`, because a build may contain this module more than once.
 */
import { AsyncLocalStorage } from "node:async_hooks";

const REVALIDATED_TAGS = "X-Vinext-Revalidated-Tags";
const STORAGE = Symbol.for("vinext-worker.revalidations");

/** @returns {AsyncLocalStorage<{tags: Map<string, number>, open: boolean}>} */
function storage() {
  return (globalThis[STORAGE] ??= new AsyncLocalStorage());
}

function format(tags) {
  return [...tags]
    .map(([tag, expireSeconds]) => encodeURIComponent(tag) + (expireSeconds > 0 ? `;expire=${expireSeconds}` : ""))
    .join(",");
}

/**
 * Wrap a Worker, so that each response names what its request invalidated. A header of that name which the app itself
 * sends, or passes on from somewhere else, is never believed.
 *
 * @type {import("./worker.d.ts").withRevalidatedTags}
 */
export function withRevalidatedTags(worker) {
  const fetch = async (request, env, ctx) => {
    const revalidations = { tags: new Map(), open: true };
    const response = await storage().run(revalidations, () => worker.fetch(request, env, ctx));
    revalidations.open = false;
    if (revalidations.tags.size === 0 && !response.headers.has(REVALIDATED_TAGS)) return response;
    const carrier = new Response(response.body, response);
    carrier.headers.delete(REVALIDATED_TAGS);
    if (revalidations.tags.size > 0) carrier.headers.set(REVALIDATED_TAGS, format(revalidations.tags));
    return carrier;
  };
  return { ...worker, fetch };
}

/**
 * Add tags to the list of the current request. The shortest period of a tag wins.
 *
 * @param {readonly string[]} tags
 * @param {number} [expireSeconds] how long stale content may still be served; none without it
 * @returns {boolean} whether the request's response will carry them
 */
export function addRevalidations(tags, expireSeconds = 0) {
  const revalidations = storage().getStore();
  if (!revalidations?.open) return false;
  for (const tag of tags) {
    revalidations.tags.set(tag, Math.min(expireSeconds, revalidations.tags.get(tag) ?? Infinity));
  }
  return true;
}
