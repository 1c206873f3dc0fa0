/**
 * The tags that one request has invalidated so far, and the RSC payload of the page that it has rendered. The wrapped Worker
 * opens a list for each request, and the adapter adds to that list. The list is closed when the response's headers leave; after
 * that nothing can be added.
 *
 * The storage is on `globalThis`, because a build may contain this module more than once.
 */
import { AsyncLocalStorage } from "node:async_hooks";

/** The header that lists the tags of a response that may be stored. */
export const CACHE_TAGS = "X-Vinext-Cache-Tags";
const REVALIDATED_TAGS = "X-Vinext-Revalidated-Tags";
const WANTS_PAYLOAD = "X-Vinext-Wants-Payload";
const PAYLOAD_BYTES = "X-Vinext-Payload-Bytes";
const STORAGE = Symbol.for("vinext-worker.revalidations");

/** @returns {AsyncLocalStorage<{tags: Map<string, number>, open: boolean, payload?: Promise<ArrayBuffer>}>} */
function storage() {
  return (globalThis[STORAGE] ??= new AsyncLocalStorage());
}

function format(tags) {
  return [...tags]
    .map(([tag, expireSeconds]) => encodeURIComponent(tag) + (expireSeconds > 0 ? `;expire=${expireSeconds}` : ""))
    .join(",");
}

/** Return the payload that was rendered with a page, or null unless vinext-worker asked for it and may store the page. */
async function payloadBeside(request, response, revalidations) {
  const isWanted = request?.headers.has(WANTS_PAYLOAD) && request.method === "GET" && response.status === 200;
  if (!isWanted || !revalidations.payload || !response.headers.has(CACHE_TAGS)) return null;
  return await revalidations.payload.catch(() => null);
}

/** Join both into one body, the payload last. The page is complete already, or its tags would not be known yet. */
async function joined(response, payload) {
  const page = await response.arrayBuffer();
  const body = new Uint8Array(page.byteLength + payload.byteLength);
  body.set(new Uint8Array(page));
  body.set(new Uint8Array(payload), page.byteLength);
  return body;
}

/**
 * Wrap a Worker so that each response lists the tags that its request invalidated, and carries the page's payload on request.
 * Headers of the same names that the app sends itself, or passes on from somewhere else, are removed.
 *
 * @type {import("./worker.d.ts").withRevalidatedTags}
 */
export function withRevalidatedTags(worker) {
  const fetch = async (request, env, ctx) => {
    const revalidations = { tags: new Map(), open: true };
    const response = await storage().run(revalidations, () => worker.fetch(request, env, ctx));
    revalidations.open = false;
    const payload = await payloadBeside(request, response, revalidations);
    const isForeign = response.headers.has(REVALIDATED_TAGS) || response.headers.has(PAYLOAD_BYTES);
    if (revalidations.tags.size === 0 && !payload && !isForeign) return response;
    const carrier = new Response(payload ? await joined(response, payload) : response.body, response);
    carrier.headers.delete(REVALIDATED_TAGS);
    carrier.headers.delete(PAYLOAD_BYTES);
    if (revalidations.tags.size > 0) carrier.headers.set(REVALIDATED_TAGS, format(revalidations.tags));
    if (payload) {
      carrier.headers.delete("Content-Length");
      carrier.headers.set(PAYLOAD_BYTES, String(payload.byteLength));
    }
    return carrier;
  };
  return { ...worker, fetch };
}

/**
 * Add tags to the list of the current request. The shortest `expireSeconds` of a tag wins.
 *
 * @param {readonly string[]} tags
 * @param {number} [expireSeconds] how long stale content may still be served; 0 means not at all
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

/**
 * Remember the payload that the current request's page is rendered from.
 *
 * @param {Promise<ArrayBuffer>} payload
 */
export function capturePayload(payload) {
  payload.catch(() => {}); // nobody may ask for the payload, and then nobody awaits it
  const revalidations = storage().getStore();
  if (revalidations?.open) revalidations.payload = payload;
}
