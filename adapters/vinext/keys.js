/**
 * Keys in KV: of tag markers, built as vinext's own KV handler and vinext-worker build them; and those that only vinext-worker
 * uses, of the markers of stale invalidations and of the times of the last invalidations.
 */
const KEY_MAX_BYTES = 512;

/** vinext's `fnv1a64`: two FNV-1a rounds over UTF-16 code units, multiplied in doubles, as 8 + 8 hex digits. */
function hash(text) {
  return [0x811c9dc5, 0x050c5d1f]
    .map((seed) => {
      let value = seed;
      for (let index = 0; index < text.length; index++) {
        value ^= text.charCodeAt(index);
        value = (value * 16777619) >>> 0;
      }
      return value.toString(16).padStart(8, "0");
    })
    .join("");
}

function isTooLong(key) {
  return new TextEncoder().encode(key).length > KEY_MAX_BYTES;
}

function boundedPrefix(appPrefix) {
  const prefix = appPrefix && `${appPrefix}:`;
  return isTooLong(`${prefix}cache:__hash:${hash("")}`) ? `__app:${hash(appPrefix)}:` : prefix;
}

/**
 * @param {string} tag
 * @param {string} [appPrefix]
 * @returns {string} `[appPrefix:]__tag:<tag>`, hashed if it is longer than KV's 512 bytes
 */
export function markerKey(tag, appPrefix = "") {
  return tagKey("__tag:", tag, appPrefix);
}

/**
 * @param {string} tag
 * @param {string} [appPrefix]
 * @returns {string} `[appPrefix:]__swr:<tag>`, hashed in the same way. vinext takes what is no number under a tag's marker for
 *   an invalidation, so a stale invalidation has a key of its own
 */
export function staleMarkerKey(tag, appPrefix = "") {
  return tagKey("__swr:", tag, appPrefix);
}

function tagKey(category, tag, appPrefix) {
  const prefix = boundedPrefix(appPrefix) + category;
  return isTooLong(prefix + tag) ? `${prefix}__hash:${hash(tag)}` : prefix + tag;
}

/**
 * @param {string} [appPrefix]
 * @returns {string} `[appPrefix:]__last-invalidation`
 */
export function lastInvalidationKey(appPrefix = "") {
  return `${boundedPrefix(appPrefix)}__last-invalidation`;
}

/**
 * @param {string} [appPrefix]
 * @returns {string} `[appPrefix:]__last-stale`
 */
export function lastStaleKey(appPrefix = "") {
  return `${boundedPrefix(appPrefix)}__last-stale`;
}
