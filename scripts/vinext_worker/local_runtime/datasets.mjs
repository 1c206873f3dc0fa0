// The datasets of Analytics Engine. What a Worker writes is kept for tests; miniflare's own stand-in drops it.

const KEPT = 1000;

// Source: https://developers.cloudflare.com/analytics/analytics-engine/limits/
const MOST = [["indexes", 1], ["blobs", 20], ["doubles", 20]];
const MAX_INDEX_BYTES = 96;
const MAX_BLOBS_BYTES = 16_384;

const encoder = new TextEncoder();

/** Binding to its newest data points. */
const points = new Map();

class AnalyticsEngine {
  #binding;

  constructor(binding) {
    this.#binding = binding;
    points.set(binding, []);
  }

  writeDataPoint(point = {}) {
    check(point);
    const written = points.get(this.#binding);
    if (written.push(point) > 2 * KEPT) written.splice(0, KEPT);
  }
}

/** Return a dataset for each binding. */
export function datasets(bindings) {
  return Object.fromEntries(bindings.map((binding) => [binding, new AnalyticsEngine(binding)]));
}

/** Return the data points that were written to a binding, the oldest first. */
export function dataPoints(binding) {
  return points.get(binding).slice(-KEPT);
}

function check(point) {
  for (const [name, most] of MOST) {
    if (point[name]?.length > most) throw new TypeError(`writeDataPoint(): Maximum of ${most} ${name} supported.`);
  }
  if (isTooLarge(point.indexes, MAX_INDEX_BYTES)) throw new TypeError(`writeDataPoint(): an index has more than ${MAX_INDEX_BYTES} bytes`);
  if (isTooLarge(point.blobs, MAX_BLOBS_BYTES)) throw new TypeError(`writeDataPoint(): the blobs have more than ${MAX_BLOBS_BYTES} bytes`);
  if (!(point.doubles ?? []).every(Number.isFinite)) throw new TypeError("writeDataPoint(): a double is no number");
}

function isTooLarge(texts = [], maxBytes) {
  const characters = texts.reduce((sum, text) => sum + (text?.length ?? 0), 0);
  // Most are so short that nobody has to count.
  return 3 * characters > maxBytes && encoder.encode(texts.join("")).length > maxBytes;
}
