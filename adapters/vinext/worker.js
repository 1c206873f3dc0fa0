/**
 * The Worker entry of a vinext app behind vinext-worker. Visitors and other Workers reach `fetch`; only a Worker with a service
 * binding to this one reaches `serve`, `render` and `replay`.
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import vinext, { respond } from "vinext/server/fetch-handler";

import { discard, Exchange, ofBuild, STAGES, withoutBody } from "./exchange.js";
import { isFile, replayed } from "./resources.js";
import { formatPages, formatTags, visiting } from "./visit.js";

export * from "vinext/server/fetch-handler";

const REVALIDATED_TAGS = "X-Vinext-Revalidated-Tags";
const REVALIDATED_PAGES = "X-Vinext-Revalidated-Pages";
/** `vinext-worker deploy` asks here which build it has reached. The app has no such page. */
const CHECK_PATH = "/__vinext-worker-check";

/** Add to its response what the visit has invalidated; headers of these names which the app sends are removed. */
function withRevalidations(response, visit) {
  visit.isOpen = false;
  const headers = [
    [REVALIDATED_TAGS, visit.tags.size > 0 ? formatTags(visit.tags) : null],
    [REVALIDATED_PAGES, visit.pages.size > 0 ? formatPages(visit.pages) : null],
  ];
  if (headers.every(([name, value]) => value === null && !response.headers.has(name))) return response;
  const carrier = new Response(response.body, response);
  for (const [name, value] of headers) {
    carrier.headers.delete(name);
    if (value !== null) carrier.headers.set(name, value);
  }
  return carrier;
}

function withBuild(response) {
  const carrier = new Response(response.body, response);
  for (const [name, value] of ofBuild()) carrier.headers.set(name, value);
  return carrier;
}

/**
 * Return the entrypoint for a Worker that answers by vinext's `fetch`.
 *
 * @type {import("./worker.d.ts").withVinextWorker}
 */
export function withVinextWorker(worker) {
  // While vinext pre-renders, in Node.js, it calls the Worker of a Pages Router app itself; a class is not callable there.
  if (globalThis.process?.env?.VINEXT_PRERENDER === "1") return worker;
  class VinextWorker extends WorkerEntrypoint {
    async fetch(request) {
      const response = await this.#visit(request);
      return new URL(request.url).pathname === CHECK_PATH ? withBuild(response) : response;
    }

    /**
     * Answer a visitor's request, with vinext-worker's cache between vinext's stages.
     *
     * @param {Request} request
     * @param {string} offer JSON of an `Offer`, "" if vinext-worker has nothing that it may be for
     * @param {number} [stages] the version of the exchange that vinext-worker speaks; by another nothing is kept
     * @returns {Promise<import("./exchange.js").Answer>}
     */
    serve(request, offer, stages = STAGES) {
      if (stages !== STAGES) return this.#apart(request, stages);
      const exchange = this.#exchange(request, offer === "" ? null : JSON.parse(offer));
      return exchange.answer(this.#visit(request, exchange));
    }

    /**
     * Render a page for the cache, by a request that nobody sent.
     *
     * @param {Request} request
     * @param {boolean} [isStored] whether the cache has the page already
     * @param {number} [idleMs] fail if for so long nothing comes of the body; 0 is no limit
     * @returns {Promise<import("./exchange.js").Kept>} also of what may not be kept, without a body
     */
    async render(request, isStored = false, idleMs = 0) {
      const exchange = this.#exchange(request, { isForCache: true, isStored, isUnruled: true });
      const { response, admitted } = await exchange.answer(this.#visit(request, exchange, { isForCache: true }));
      discard(response);
      return (await admitted?.(idleMs)) ?? withoutBody(response);
    }

    /**
     * Render again what the cache keeps already.
     *
     * @param {string} replay from an earlier answer
     * @param {number} [idleMs] as for `render`
     * @returns {Promise<import("./exchange.js").Kept>} also of what may not be kept any more, without a body
     */
    async replay(replay, idleMs = 0) {
      const [request, props, isStored] = replayed(replay);
      const options = { cache: "shared", regeneratesStoredEntry: isStored, renderWholeDocument: true };
      const exchange = this.#exchange(null, null);
      const render = () => respond(request, props, options, this.env, this.ctx);
      return await visiting(() => exchange.regenerate(render, idleMs, isFile(props)), exchange, { isForCache: true });
    }

    async #apart(request, stages) {
      const unknown = `version ${stages} of the exchange with vinext-worker; this adapter speaks version ${STAGES}`;
      return { about: JSON.stringify({ unknown }), response: await this.#visit(request) };
    }

    #exchange(request, offer) {
      return new Exchange(request, offer, (work) => this.ctx.waitUntil(work));
    }

    async #visit(request, exchange, options) {
      const answer = async (visit) => withRevalidations(await worker.fetch(request, this.env, this.ctx), visit);
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
