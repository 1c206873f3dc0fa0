/**
 * The Worker entry of a vinext app behind vinext-worker. Visitors and other Workers reach `fetch`; only a Worker with a service
 * binding to this one reaches `serve` and `replay`.
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import vinext, { respond } from "vinext/server/fetch-handler";

import { discard, Exchange, withoutBody } from "./exchange.js";
import { replayed } from "./resources.js";
import { formatTags, visiting } from "./visit.js";

export * from "vinext/server/fetch-handler";

const REVALIDATED_TAGS = "X-Vinext-Revalidated-Tags";

/** Add the tags that the visit has invalidated to its response; a header of that name which the app sends is removed. */
function withTags(response, visit) {
  visit.isOpen = false;
  if (visit.tags.size === 0 && !response.headers.has(REVALIDATED_TAGS)) return response;
  const carrier = new Response(response.body, response);
  carrier.headers.delete(REVALIDATED_TAGS);
  if (visit.tags.size > 0) carrier.headers.set(REVALIDATED_TAGS, formatTags(visit.tags));
  return carrier;
}

/**
 * Return the entrypoint for a Worker that answers by vinext's `fetch`.
 *
 * @type {import("./worker.d.ts").withVinextWorker}
 */
export function withVinextWorker(worker) {
  class VinextWorker extends WorkerEntrypoint {
    fetch(request) {
      return this.#visit(request);
    }

    /**
     * Answer a visitor's request, with vinext-worker's cache between vinext's stages.
     *
     * @param {Request} request
     * @param {string} offer JSON of an `Offer`, "" if vinext-worker has nothing that it may be for
     * @returns {Promise<import("./exchange.js").Answer>}
     */
    serve(request, offer) {
      const exchange = this.#exchange(offer === "" ? null : JSON.parse(offer));
      return exchange.answer(this.#visit(request, exchange));
    }

    /**
     * Render a page for the cache, by a request that nobody sent.
     *
     * @param {Request} request
     * @returns {Promise<import("./exchange.js").Kept>} also of what may not be kept, without a body
     */
    async render(request) {
      const exchange = this.#exchange({ isForCache: true, isUnruled: true });
      const { response, admitted } = await exchange.answer(this.#visit(request, exchange, { isForCache: true }));
      discard(response);
      return (await admitted?.()) ?? withoutBody(response);
    }

    /**
     * Render again what the cache keeps already.
     *
     * @param {string} replay from an earlier answer
     * @returns {Promise<import("./exchange.js").Kept>} also of what may not be kept any more, without a body
     */
    async replay(replay) {
      const [request, props] = replayed(replay);
      const options = { cache: "shared", regeneratesStoredEntry: true, renderWholeDocument: true };
      const exchange = this.#exchange(null);
      const render = () => exchange.regenerate(() => respond(request, props, options, this.env, this.ctx));
      return await visiting(render, exchange, { isForCache: true });
    }

    #exchange(offer) {
      return new Exchange(offer, (work) => this.ctx.waitUntil(work));
    }

    async #visit(request, exchange, options) {
      const answer = async (visit) => withTags(await worker.fetch(request, this.env, this.ctx), visit);
      return await visiting(answer, exchange, options);
    }
  }
  for (const [name, handler] of Object.entries(worker)) {
    if (name === "fetch" || typeof handler !== "function") continue;
    VinextWorker.prototype[name] = function (event) {
      return handler.call(worker, event, this.env, this.ctx);
    };
  }
  return VinextWorker;
}

export default withVinextWorker(vinext);
