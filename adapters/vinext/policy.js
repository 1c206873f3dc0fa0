/** What a `Cache-Control` says to shared caches. */
const SHARED = /(?:^|,)\s*s-maxage\s*=/i;
const NOT_SHARED = /(?:^|,)\s*(?:no-store|no-cache|private)\s*(?:,|$)/i;

/** @param {string} cacheControl */
export function forbidsSharing(cacheControl) {
  return NOT_SHARED.test(cacheControl);
}

/** @param {string} cacheControl */
export function allowsSharing(cacheControl) {
  return SHARED.test(cacheControl) && !forbidsSharing(cacheControl);
}
