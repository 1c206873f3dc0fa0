/** What `Cache-Control` says to shared caches, on a response that tells browsers something else there. */
export const SHARED_POLICY = "X-Vinext-Shared-Cache-Control";

/** What vinext says of a page as long as it is not known whether everybody may get it. */
export const NO_STORE = "no-store, must-revalidate";

/** What a `Cache-Control` says to shared caches. */
const SHARED = /(?:^|,)\s*s-maxage\s*=/i;
const NOT_SHARED = /(?:^|,)\s*(?:no-store|no-cache|private)\s*(?:,|$)/i;

/** @param {string} cacheControl */
export function forbidsSharing(cacheControl) {
  return NOT_SHARED.test(cacheControl);
}

/** @param {string} cacheControl */
function allowsSharing(cacheControl) {
  return SHARED.test(cacheControl) && !forbidsSharing(cacheControl);
}

/** @param {Headers} headers of a response */
export function isShared(headers) {
  return allowsSharing(headers.get(SHARED_POLICY) ?? headers.get("Cache-Control") ?? "");
}

/** What Next.js and vinext say of `robots.txt`, a sitemap and the like, whatever their period is. */
const METADATA = "public, max-age=0, must-revalidate";

/**
 * Tell the period of a metadata route to vinext-worker alone. vinext, which tells it to nobody, gives it to an adapter that waits
 * for complete responses as to a cache on the way.
 *
 * @param {Headers} headers of the response, which change
 */
export function hideMetadataPeriod(headers) {
  if (!isShared(headers) || headers.has(SHARED_POLICY)) return;
  headers.set(SHARED_POLICY, headers.get("Cache-Control"));
  headers.set("Cache-Control", METADATA);
}
