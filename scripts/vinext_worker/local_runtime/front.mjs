// Stands in front of the Worker and its assets during development, and reports each request to the host. It can measure the time,
// because workerd's clock advances with each input, here the answer. Inside the Worker a hit would seem to take no time.

export default {
  async fetch(request, { NEXT }) {
    const start = Date.now();
    const url = new URL(request.url);
    const report = (status, cache, type) => {
      const milliseconds = Date.now() - start;
      const { method } = request;
      // A link that signs in to the inspector is nobody else's.
      const path = url.pathname.startsWith("/__vinext/") ? url.pathname : url.pathname + url.search;
      console.log(JSON.stringify({ vinextRequest: { method, path, status, cache, milliseconds, type, host: url.host } }));
    };
    try {
      const response = await NEXT.fetch(request, { redirect: "manual" });
      report(response.status, response.headers.get("X-Vinext-Cache"), response.headers.get("Content-Type") ?? "");
      return response;
    } catch (error) {
      report(500, null, "");
      throw error;
    }
  },
};
