/**
 * What vinext-worker and the app tell each other about one request, while it passes vinext's two stages: the request stage
 * (middleware, rules of next.config, routing) calls the response stage (rendering), and between them is vinext-worker's cache.
 */
import { isShared, NO_STORE, SHARED_POLICY } from "./policy.js";
import { forKeeping, isFile, isKnownProtocol, isMadeForEverybody, isPagesPage, isRouteHandler, replayOf, resourceOf } from "./resources.js";
import { WatchedBody } from "./stalls.js";

/** The version of what the app and vinext-worker tell each other about a request. */
export const STAGES = 1;

/**
 * What vinext-worker has under a path: an entry, or, without a `status`, none.
 *
 * @typedef {object} Offer
 * @property {string} [path] without one, vinext-worker wants a new response, whatever its path
 * @property {string} [part] the entry's; without one, there is none for any part
 * @property {number} [status]
 * @property {Record<string, string | string[]>} [headers]
 * @property {boolean} [isStale] whether vinext-worker will render the page again
 * @property {boolean} [isForCache] whether nobody but the cache waits for the response
 * @property {boolean} [isStored] whether vinext-worker has an entry of the page that it wants anew
 * @property {boolean} [isUnruled] whether the entry will be served without the request stage, and so keeps what that adds
 */

/**
 * @typedef {object} Answer
 * @property {string} about JSON of one of: `{}`, the app's own response; `{isHit}`, the headers and the status for the offered
 *   entry; `{made}`, a response that may be kept once `admitted` says so; `{missed}`, a response in place of one that could be
 *   kept; `{dynamic}`, a response of what is made for each request alone; `{asks}`, a question for the entry of a resource, with `isStorable`: whether the response may be kept if there is none. `replay` renders it again, `unknown` says what is not understood.
 * @property {Response} [response]
 * @property {(idleMs?: number) => Promise<Kept | null>} [admitted] fails if for so long nothing comes of the body; 0 is no limit
 * @property {(offer: string) => Promise<Answer>} [resume] answers the question
 */

/**
 * A complete response that may be kept.
 *
 * @typedef {object} Kept
 * @property {number} status
 * @property {string} headers JSON of pairs
 * @property {ArrayBuffer | null} body
 * @property {ArrayBuffer | null} payload the RSC payload of a page that was asked for as HTML
 * @property {ArrayBuffer | null} document the HTML of a page that was asked for as RSC payload
 * @property {string} [added] JSON of pairs: what the request stage has added, which `payload` or `document` keeps too
 */

/** Headers that say whether a response may be kept, and under which tags. The response stage alone knows. */
const POLICY = [
  "cache-control",
  "cdn-cache-control",
  SHARED_POLICY.toLowerCase(),
  "cache-tag",
  "x-vinext-cache-tags",
  "x-vinext-cache",
  "x-nextjs-cache",
];
/** Headers of a response that its counterpart has otherwise, or not at all. */
const OF_ONE_ARTIFACT = /^(?:content-(?:encoding|length|type)$|set-cookie$|vary$|x-nextjs-|x-vinext-)/;
/** Where a page is shown, for vinext's client: its path and search, encoded as a whole. The search is one visitor's. */
const RENDERED_AT = "x-vinext-rendered-path-and-search";
const SEARCH = /%3F.*$/;
/** A complete response that was rendered from stale data has this header. */
const STALE_DATA = "X-Vinext-Stale-Data";
/** What is given to be kept says in this header which build has rendered it: vinext-worker keeps nothing of another than its own. */
const APP_BUILD = "X-Vinext-App-Build";
/** A complete response has this header if it is a route handler's or a metadata file's, which its content type does not show. */
const ARTIFACT = "X-Vinext-Artifact";

/**
 * With `cacheComponents`, vinext's cache answers with this status for the RSC payload of a page that is not there, or not for
 * everybody (`isRoutePPREnabled`). A complete response of such a page says so, whichever of the two it is.
 */
const PAYLOAD_STATUS = "X-Vinext-Payload-Status";
const SPECIAL_STATUSES = [401, 403, 404];

/** What vinext takes for the entry of a route handler's answer, so that it does not run the handler. */
const ENTRY_OF_A_HANDLER = { value: { kind: "APP_ROUTE", body: null, headers: {}, status: 204 } };

/** One call of vinext-worker. */
export class Exchange {
  #visitors;
  #offer;
  #keepAlive;
  #question = Promise.withResolvers();
  #outcome = {};
  #response;
  /** The headers of the response stage, if an entry keeps what the request stage adds to them; then those with what it added. */
  #own;
  #composed;
  /** Whether a route handler runs only if it has no period. */
  #isTrying = false;
  /** Whether what is rendered now may be kept, so that `runtime.js` adds to it. */
  keeps = false;
  /** What the render leaves beside its response. */
  rendered = {};

  /**
   * @param {Request | null} visitors what the visitor has sent; null if what is rendered is known already (`regenerate`)
   * @param {Offer | null} offer
   * @param {(work: Promise<unknown>) => void} keepAlive
   */
  constructor(visitors, offer, keepAlive) {
    this.#visitors = visitors;
    this.#offer = offer;
    this.#keepAlive = keepAlive;
  }

  /**
   * @param {Promise<Response>} response the app's, which calls `dispatch` on its way
   * @returns {Promise<Answer>}
   */
  answer(response) {
    this.#response = response.then((finished) => this.#answered(finished));
    return this.#next();
  }

  /**
   * Stands between the two stages: answers with what vinext-worker has, or renders.
   *
   * @param {Request} request
   * @param {any} props
   * @param {any} options
   * @param {(request: Request, props: any, options: any) => Promise<Response>} render
   */
  async dispatch(request, props, options, render) {
    const response = await this.#dispatched(request, props, options, render);
    return options.cache === "shared" ? withConfigPolicy(response, props) : response;
  }

  async #dispatched(request, props, options, render) {
    this.keeps = false;
    this.rendered = {};
    const resource = resourceOf(request, props, options);
    if (!resource) {
      this.#outcome = isKnownProtocol(props) ? {} : { unknown: `${props.kind} of version ${props.protocolVersion}` };
      return await render(request, props, { ...options, cache: "bypass" });
    }
    const { isStorable, ...described } = resource;
    if (isRouteHandler(props) && !this.#hasEntryOf(resource)) {
      const response = await this.#ifWithoutPeriod(() => render(request, props, { ...options, cache: "bypass" }));
      if (response) {
        this.#outcome = { dynamic: described };
        return response;
      }
    }
    const { status, headers, isStale, isForCache, isStored, isUnruled } = await this.#offerFor(resource);
    if (status !== undefined) {
      this.#outcome = isStale ? { isHit: true, replay: replayOf(request, props, options) } : { isHit: true };
      return new Response(null, { status, statusText: status === 200 ? "OK" : "", headers: headerPairs(headers) });
    }
    // That a page of the Pages Router exists is known once it was made: nothing else asks `getStaticPaths`.
    const replay = replayOf(request, props, options, isStorable || !isPagesPage(props));
    if (!isStorable) {
      // A payload without an identity is replayed as its document.
      const part = described.part === "rsc" && !options.cacheIdentity ? "html" : described.part;
      const response = await render(request, props, { ...options, cache: "bypass" });
      const isPersonal = (isPagesPage(props) || isRouteHandler(props)) && !isMadeForEverybody(response);
      this.#outcome = isPersonal ? {} : { missed: { ...described, part }, replay };
      return response;
    }
    this.keeps = true;
    this.rendered.isFile = isFile(props);
    const regenerates = isForCache && isStored && isPagesPage(props) && { regeneratesStoredEntry: true };
    const shared = { ...options, cache: "shared", ...(isForCache && { renderWholeDocument: true }), ...regenerates };
    const response = await render(forKeeping(request, this.#visitors, props), props, shared);
    if (isUnruled) this.#own = new Headers(response.headers);
    return this.#keeping(response, { made: described, replay });
  }

  /**
   * Render for nobody but the cache.
   *
   * @param {() => Promise<Response>} render
   * @param {number} [idleMs] as for `admitted`
   * @param {boolean} [rendersFile] whether that is a route handler or a metadata file
   * @returns {Promise<Kept>} also of what may not be kept, without a body
   */
  async regenerate(render, idleMs, rendersFile = false) {
    this.keeps = true;
    this.rendered.isFile = rendersFile;
    const response = this.#keeping(await render(), { made: true });
    discard(response);
    return (await this.#outcome.admitted(idleMs)) ?? withoutBody(response);
  }

  /**
   * Let the response go to the visitor while vinext decides, from a copy of its body, whether it may be kept. Until then its period
   * is a promise that a part of the page which reads the visitor's cookies would break, so no cache on the way may keep it.
   */
  admitLater(response, complete) {
    const [visitors, copy] = response.body.tee();
    this.rendered.watched = new WatchedBody(copy);
    this.rendered.admission = complete(new Response(this.rendered.watched.stream, response));
    this.#keepAlive(this.rendered.admission.catch(() => {}));
    const undecided = new Response(visitors, response);
    if (isShared(undecided.headers)) {
      undecided.headers.set("Cache-Control", NO_STORE);
      undecided.headers.delete(SHARED_POLICY);
    }
    return undecided;
  }

  /**
   * vinext looks for the entry of a route handler's answer before it runs a handler that has a period, and of no other
   * (`getAppRouteHandlerRevalidateSeconds`). No other can be kept, so nobody needs its whole answer before the visitor gets it.
   *
   * @param {() => Promise<Response>} render
   * @returns {Promise<Response | null>} null if the handler has a period, and has not run
   */
  async #ifWithoutPeriod(render) {
    this.#isTrying = true;
    const response = await render();
    if (this.#isTrying) {
      this.#isTrying = false;
      return response;
    }
    discard(response);
    return null;
  }

  /** @returns {object | null} what vinext gets that looks for an entry in its own cache */
  entryForVinext() {
    if (!this.#isTrying) return null;
    this.#isTrying = false;
    return ENTRY_OF_A_HANDLER;
  }

  #hasEntryOf(resource) {
    return isFor(this.#offer, resource) && this.#offer.status !== undefined;
  }

  async #offerFor(resource) {
    let offer = this.#offer;
    while (!isFor(offer, resource)) offer = await this.#ask(resource);
    if (offer.path !== undefined) this.#offer = null;
    return offer;
  }

  #ask(resource) {
    const { promise, resolve } = Promise.withResolvers();
    const resume = (offer) => {
      this.#question = Promise.withResolvers();
      resolve(JSON.parse(offer));
      return this.#next();
    };
    this.#question.resolve({ about: JSON.stringify({ asks: resource }), resume });
    return promise;
  }

  #next() {
    return Promise.race([this.#question.promise, this.#response]);
  }

  /** Remember how to keep a response of the response stage, and return it for the request stage. */
  #keeping(response, outcome) {
    const rendered = this.rendered;
    const { admission, payload, document } = rendered;
    if (!admission && !isShared(response.headers)) {
      this.#outcome = { ...outcome, admitted: async () => null };
      return response;
    }
    const copy = admission ? null : response.clone();
    const watched = rendered.watched ?? (copy.body && new WatchedBody(copy.body));
    const complete = admission ?? (watched ? new Response(watched.stream, copy) : copy);
    const whenComplete = async () => {
      const whole = await complete;
      if (!isShared(whole.headers)) {
        discard(whole);
        return null;
      }
      const headers = [...(this.#composed ? forEverybody(this.#composed, whole.headers) : whole.headers)];
      if (rendered.isOfStaleData) headers.push([STALE_DATA, "1"]);
      if (rendered.isFile) headers.push([ARTIFACT, "route"]);
      if (hasCacheComponents() && SPECIAL_STATUSES.includes(whole.status)) headers.push([PAYLOAD_STATUS, "200"]);
      headers.push(...ofBuild());
      return {
        status: whole.status,
        headers: JSON.stringify(headers),
        body: whole.body ? await whole.arrayBuffer() : null,
        payload: (await payload?.catch(() => null)) ?? null,
        document: encoded((await document)?.html),
        ...(this.#composed && { added: JSON.stringify(added(this.#composed, this.#own)) }),
      };
    };
    const admitted = async (idleMs = 0) => await (watched ? watched.limit(whenComplete(), idleMs) : whenComplete());
    this.#outcome = { ...outcome, admitted };
    return response;
  }

  #answered(response) {
    const { admitted, ...about } = this.#outcome;
    if (this.#own) this.#composed = new Headers(response.headers);
    return { about: JSON.stringify(about), response, admitted };
  }
}

/**
 * Describe a response that may not be kept: its status tells a failure from a page that has become dynamic. Its own headers may
 * say that it is shared, as those of next.config do.
 */
export function withoutBody({ status }) {
  return { status, headers: JSON.stringify([["cache-control", "no-store"], ...ofBuild()]) };
}

/** The headers that name this build. vinext puts its ID in the place of the variable when it builds. */
export function ofBuild() {
  const id = process.env.__VINEXT_BUILD_ID;
  return id ? [[APP_BUILD, id]] : [];
}

/** vinext puts the value of next.config in the place of the variable when it builds. */
function hasCacheComponents() {
  return String(process.env.__NEXT_CACHE_COMPONENTS) === "true";
}

/** Cancel a body that nobody reads. The promise may never settle, as that of one half of a body does. */
export function discard(response) {
  response.body?.cancel().catch(() => {});
}

function isFor(offer, { path, part }) {
  return offer !== null && (offer.path === undefined || (offer.path === path && (offer.part ?? part) === part));
}

/**
 * The response with the `Cache-Control` of next.config. vinext's response stage puts it on what it renders for a shared cache, so
 * that the request stage does not; entries, and what is rendered otherwise, lack it.
 */
export function withConfigPolicy(response, { cacheability: { policyHeaders } }) {
  const policy = policyHeaders?.filter(([name]) => name.toLowerCase() !== "vary") ?? [];
  if (policy.length === 0 || (response.status >= 300 && response.status < 400)) return response;
  const composed = new Response(response.body, response);
  for (const [name, value] of policy) composed.headers.set(name, value);
  return composed;
}

/** What is kept of a response that the request stage has completed: with the policy of the response stage, for any visitor. */
function forEverybody(composed, stored) {
  const headers = new Headers(composed);
  for (const name of POLICY) headers.delete(name);
  for (const [name, value] of stored) if (!headers.has(name)) headers.set(name, value);
  const at = headers.get(RENDERED_AT);
  if (at !== null) headers.set(RENDERED_AT, at.replace(SEARCH, ""));
  return headers;
}

function added(composed, own) {
  return [...composed].filter(
    ([name, value]) => own.get(name) !== value && !POLICY.includes(name) && !OF_ONE_ARTIFACT.test(name),
  );
}

function encoded(text) {
  return typeof text === "string" ? new TextEncoder().encode(text).buffer : null;
}

function headerPairs(headers) {
  return Object.entries(headers).flatMap(([name, values]) => [values].flat().map((value) => [name, value]));
}
