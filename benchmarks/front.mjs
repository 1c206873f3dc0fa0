/**
 * The least that a Worker in front of the app does for a MISS, in JavaScript: it looks in KV, has the app render the page, sends it on, and
 * writes its HTML and its RSC payload to KV. It checks nothing, and knows no tags, periods, leases or faults. What it costs beside vinext
 * alone is the price of the second Worker, whatever language that is in.
 */
const STAGES = 1;
const IDLE_MS = 15_000;
const TTL_SECONDS = 30 * 24 * 3600;

async function etagOf(body) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", body));
  return digest.toHex().slice(0, 32);
}

async function store(rendered, key, kv) {
  const kept = await rendered.admitted(IDLE_MS);
  rendered[Symbol.dispose]();
  for (const [part, body] of [["html", kept.body], ["rsc", kept.payload]]) {
    const metadata = { headers: kept.headers.slice(0, 500), etag: await etagOf(body) };
    await kv.put(`${key}:${part}`, body, { expirationTtl: TTL_SECONDS, metadata });
  }
}

export default {
  async fetch(request, { KV, PAGES }, ctx) {
    const { pathname: path } = new URL(request.url);
    const key = `cache:${path}`;
    const { value } = await KV.getWithMetadata(`${key}:html`, "stream");
    if (value !== null) return new Response(value, { headers: { "X-Vinext-Cache": "HIT" } });
    const rendered = await PAGES.serve(request, JSON.stringify({ path, part: "html", isUnruled: true }), STAGES);
    ctx.waitUntil(store(rendered, key, KV));
    const response = new Response(rendered.response.body, rendered.response);
    response.headers.set("X-Vinext-Cache", "MISS");
    return response;
  },
};
