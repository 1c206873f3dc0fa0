// Lets HTTP reach what an app in stages renders for a cache, which only a service binding does (the adapter's worker.js).

export default {
  async fetch(request, { PAGES }) {
    const { status, headers, body } = await PAGES.render(request);
    return new Response(body ?? null, { status, headers: JSON.parse(headers) });
  },
};
