/**
 * What one request has invalidated so far, and the RSC payload of the page that it has rendered. The wrapped Worker opens a
 * list around each request, the adapter adds to it, and it is closed when the response's headers leave: from then on nothing
 * can be added.
 *
 * The storage is kept on `globalThis`, because a build may contain this module more than once.
 */
import { AsyncLocalStorage } from "node:async_hooks";

/** Names the tags of an answer that may be kept. */
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

/** The payload that was rendered with a page, where vinext-worker asks for it and may keep the page. */
async function payloadBeside(request, response, revalidations) {
  const isWanted = request?.headers.has(WANTS_PAYLOAD) && request.method === "GET" && response.status === 200;
  if (!isWanted || !revalidations.payload || !response.headers.has(CACHE_TAGS)) return null;
  return await revalidations.payload.catch(() => null);
}

/** Both in one body, the payload last. The page is complete already: else nobody would know yet that it may be kept. */
async function joined(response, payload) {
  const page = await response.arrayBuffer();
  const body = new Uint8Array(page.byteLength + payload.byteLength);
  body.set(new Uint8Array(page));
  body.set(new Uint8Array(payload), page.byteLength);
  return body;
}

/**
 * Wrap a Worker, so that each response names what its request invalidated, and brings the page's payload where that is asked for.
 * Headers of those names which the app itself sends, or passes on from somewhere else, are never believed.
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

/**
 * Keep the payload that the current request's page is rendered from.
 *
 * @param {Promise<ArrayBuffer>} payload
 */
export function capturePayload(payload) {
  payload.catch(() => {}); // where nobody asks for it, nobody waits for it
  const revalidations = storage().getStore();
  if (revalidations?.open) revalidations.payload = payload;
}
