/**
 * Which of vinext-worker's entries a call of vinext's response stage is for. Pure functions.
 *
 * vinext describes each call by a request and `props`. An entry has a path and a part, which are those of the key under which
 * vinext's own cache keeps the same response.
 */
import { createHash } from "node:crypto";

/** The versions of the `props` that are understood here; by any other nothing is kept. */
const PROTOCOLS = { app: 13, pages: 6 };

/** The headers that select one of a page's RSC payloads. Nothing else of a visitor goes into a request that is repeated. */
const SELECTORS = [
  "accept",
  "host",
  "next-router-prefetch",
  "next-router-segment-prefetch",
  "next-router-state-tree",
  "next-url",
  "rsc",
  "x-vinext-interception-context",
  "x-vinext-interception-id",
  "x-vinext-mounted-slots",
  "x-vinext-rsc-render-mode",
  "x-vinext-rsc-state-fingerprint",
];

/** Headers of vinext's requests to itself that ask for a new response. */
const BYPASSING = ["x-prerender-revalidate", "x-vinext-prerender-route-params"];

/** Headers by which a visitor must not change what others get: claims about the URL, and conditions. */
const NOT_FOR_KEPT_RESPONSES =
  /^(?:authorization|forwarded|if-(?:match|modified-since|none-match|range|unmodified-since)|range|x-(?:forwarded-(?!for$).*|host|http-method-override|method-override|original-(?:host|url)|rewrite-url))$/;

/**
 * @typedef {object} Resource
 * @property {string} path the path in the key
 * @property {string} part the end of the key: `html`, `rsc`, `route`, or a variant of one
 * @property {string} tagPath the path of the page that is rendered, whose tags the entry carries
 * @property {boolean} isStorable whether a response to this very request may be kept
 */

function digest(value) {
  return createHash("sha256").update(value).digest("hex");
}

/** The end of an RSC payload's key, as in vinext's `appIsrRscKey`. */
function rscPart({ interceptionContext, interceptionId, mountedSlotsHeader, renderMode }) {
  const variants = [
    interceptionContext && `source:${digest(interceptionContext)}`,
    interceptionId && `selector:${digest(interceptionId)}`,
    mountedSlotsHeader && `slots:${digest(mountedSlotsHeader)}`,
    renderMode !== "navigation" && renderMode,
  ].filter(Boolean);
  return ["rsc", ...variants].join(":");
}

function routePart(path) {
  return path !== "/" && path.endsWith("/") ? "route:trailing-slash" : "route";
}

/** Keys know no slash at the end of a path. */
function withoutSlash(path) {
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}

function described(path, part, { cleanPathname }, isStorable) {
  return { path: withoutSlash(path), part, tagPath: withoutSlash(cleanPathname), isStorable };
}

function hasQuery(url) {
  return [...new URL(url).searchParams.keys()].some((name) => name !== "_rsc");
}

/** @returns {boolean} whether this version of vinext's stages is known */
export function isKnownProtocol({ kind, protocolVersion }) {
  return protocolVersion === (kind.startsWith("pages-") ? PROTOCOLS.pages : PROTOCOLS.app);
}

/**
 * Whether vinext bypasses the cache only because middleware has changed the request's cookies or headers. They matter as little
 * as those that the visitor sent: a page that reads them is dynamic, and never kept.
 */
function isBypassedForItsHeaders(request, props) {
  return (
    (props.kind === "app-page" || props.kind === "app-route-handler") &&
    (request.method === "GET" || request.method === "HEAD") &&
    props.draftModeCookie === null &&
    props.scriptNonce === null &&
    props.forceDynamic !== true &&
    !props.bypassInterceptionContextCache &&
    !BYPASSING.some((name) => request.headers.has(name))
  );
}

/**
 * @param {Request} request
 * @param {any} props
 * @param {import("vinext/server/multi-stage").VinextResponseStageDispatchOptions} options
 * @returns {Resource | null} null for what is never kept
 */
export function resourceOf(request, props, { cache, cacheIdentity }) {
  if (!isKnownProtocol(props)) return null;
  if (cache === "shared" ? !cacheIdentity : !isBypassedForItsHeaders(request, props)) return null;
  const isCanonical = cacheIdentity?.queryFree === true || !hasQuery(request.url);
  // Without an identity, a payload may leave out what the client's router has already.
  const isStorable = isCanonical && request.method === "GET" && (cacheIdentity !== undefined || !props.isRscRequest);
  switch (props.kind) {
    case "app-page":
      // A page that keeps its query is stored for each, which the key does not say.
      if (!isCanonical && cacheIdentity) return null;
      return described(props.cachePathname, props.isRscRequest ? rscPart(props) : "html", props, isStorable);
    case "app-route-handler":
      return described(props.cachePathname, routePart(props.cachePathname), props, isStorable);
    case "app-metadata":
      return described(props.cleanPathname, "route", props, isStorable);
    default:
      return null;
  }
}

/** The call for a page's document in the place of that for its RSC payload. */
function documentOf(request, props) {
  if (!props.isRscRequest) return { request, props };
  const url = new URL(request.url);
  url.pathname = url.pathname.replace(/(?:\/index)?\.rsc$/, "") || "/";
  url.searchParams.delete("_rsc");
  const headers = new Headers({ Accept: "text/html" });
  return { request: new Request(url, { headers }), props: { ...props, isRscRequest: false, renderMode: "navigation" } };
}

/**
 * Describe a call so that it can be repeated for everybody: without the visitor's cookies, credentials and query.
 *
 * @param {Request} request
 * @param {any} props
 * @param {import("vinext/server/multi-stage").VinextResponseStageDispatchOptions} options
 * @returns {string} for `replayed`
 */
export function replayOf(request, props, { cacheIdentity }) {
  const identity = cacheIdentity && !cacheIdentity.regenerateFromDispatch ? cacheIdentity : documentOf(request, props);
  const url = new URL(identity.request.url);
  const resolvedUrl = identity.props.resolvedUrl?.split("?", 1)[0];
  const headers = SELECTORS.map((name) => [name, identity.request.headers.get(name)]).filter(([, value]) => value !== null);
  for (const name of [...url.searchParams.keys()]) if (name !== "_rsc") url.searchParams.delete(name);
  return JSON.stringify({ url: url.href, headers, props: { ...identity.props, resolvedUrl, middlewareCookieOverlay: null } });
}

/**
 * @param {string} replay
 * @returns {[Request, any]} the request and the props that `replayOf` described
 */
export function replayed(replay) {
  const { url, headers, props } = JSON.parse(replay);
  return [new Request(url, { headers }), props];
}

/** The request without the headers by which one visitor could change what all get. */
export function forKeeping(request) {
  const unwanted = [...request.headers.keys()].filter((name) => NOT_FOR_KEPT_RESPONSES.test(name));
  if (unwanted.length === 0) return request;
  const cleaned = new Request(request);
  for (const name of unwanted) cleaned.headers.delete(name);
  return cleaned;
}
