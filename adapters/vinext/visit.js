/**
 * What one request leaves behind beside its response: the tags that it has invalidated, the pages that it wants anew, and what the
 * render of its page has produced. The wrapped Worker opens a visit for each request, and the adapter's runtime half adds to it.
 * The list of tags is closed when the response's headers leave; after that nothing can be added to it.
 *
 * The storage is on `globalThis`, because a build may contain this module more than once.
 */
import { AsyncLocalStorage } from "node:async_hooks";

const STORAGE = Symbol.for("vinext-worker.visit");
const MAX_PAGES = 10;

/**
 * @typedef {object} Visit
 * @property {Map<string, number>} tags each with the seconds for which stale content may still be served
 * @property {Map<string, object>} pages those of the Pages Router that `res.revalidate` was called for, by their paths: the
 *   resource of each, and how it is rendered again
 * @property {boolean} isOpen whether a response will carry the tags
 * @property {boolean} [isInternal] whether the request is vinext's own
 * @property {import("./exchange.js").Exchange} [exchange] what vinext-worker waits for, if it asked
 * @property {boolean} isForCache whether no visitor waits for the response
 */

/** @returns {AsyncLocalStorage<Visit>} */
function storage() {
  return (globalThis[STORAGE] ??= new AsyncLocalStorage());
}

/** @returns {Visit | undefined} the visit of the running request */
export function currentVisit() {
  return storage().getStore();
}

/**
 * Run `work` as a new visit.
 *
 * @template T
 * @param {(visit: Visit) => T} work
 * @param {import("./exchange.js").Exchange} [exchange]
 * @param {{ isForCache?: boolean }} [options]
 * @returns {T}
 */
export function visiting(work, exchange, { isForCache = false } = {}) {
  const visit = { tags: new Map(), pages: new Map(), isOpen: true, exchange, isForCache };
  return storage().run(visit, work, visit);
}

/**
 * Run `work` as a part of the running visit that answers nobody: vinext's own requests to itself.
 *
 * @template T
 * @param {() => T} work
 * @returns {T}
 */
export function visitingInternally(work) {
  const visit = currentVisit();
  if (!visit) return work();
  const part = Object.create(visit, { exchange: { value: undefined }, isInternal: { value: true } });
  return storage().run(part, work);
}

/**
 * Add tags to the list of the running visit. The shortest `expireSeconds` of a tag wins.
 *
 * @param {readonly string[]} tags
 * @param {number} [expireSeconds] how long stale content may still be served; 0 means not at all
 * @returns {boolean} whether the request's response will carry them
 */
export function addRevalidations(tags, expireSeconds = 0) {
  const visit = currentVisit();
  if (!visit?.isOpen) return false;
  for (const tag of tags) visit.tags.set(tag, Math.min(expireSeconds, visit.tags.get(tag) ?? Infinity));
  return true;
}

/**
 * Remember a page that is to be made anew before the running visit is answered. Of very many pages, the rest is made when somebody
 * asks for them.
 *
 * @param {{path: string}} page
 */
export function addPage(page) {
  const visit = currentVisit();
  if (visit?.isOpen && visit.pages.size < MAX_PAGES) visit.pages.set(page.path, page);
}

/** @param {Map<string, object>} pages as the header lists them: percent-encoded JSON */
export function formatPages(pages) {
  return encodeURIComponent(JSON.stringify([...pages.values()]));
}

/** @param {Map<string, number>} tags as the header lists them: percent-encoded, separated by commas */
export function formatTags(tags) {
  return [...tags]
    .map(([tag, expireSeconds]) => encodeURIComponent(tag) + (expireSeconds > 0 ? `;expire=${expireSeconds}` : ""))
    .join(",");
}
