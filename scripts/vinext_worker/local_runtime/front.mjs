// Stands before the Worker and its assets while a person develops, and tells the host about each request. Waiting for the answer is
// input for workerd, so its clock has moved on when the answer is there; inside the Worker a hit would seem to take no time.

export default {
  async fetch(request, { NEXT }) {
    const start = Date.now();
    const url = new URL(request.url);
    const report = (status, cache) => {
      const milliseconds = Date.now() - start;
      const { method } = request;
      console.log(JSON.stringify({ vinextRequest: { method, path: url.pathname + url.search, status, cache, milliseconds } }));
    };
    try {
      const response = await NEXT.fetch(request, { redirect: "manual" });
      report(response.status, response.headers.get("X-Vinext-Cache"));
      return response;
    } catch (error) {
      report(500, null);
      throw error;
    }
  },
};
