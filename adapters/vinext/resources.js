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

/** The parts of a Pages Router page: its HTML, and the data by which a client navigates to it. One entry has both. */
const PAGES_HTML = "pages";
const PAGES_DATA = "data";

/** The host of a cache identity that names no host. */
const ANY_HOST = "cache-identity.vinext.invalid";
const PREVIEW_COOKIE = /(?:^|;)\s*(?:__prerender_bypass|__next_preview_data)=/;
const CSP = ["content-security-policy", "content-security-policy-report-only"];

/** Headers of vinext's requests to itself that ask for a new response. */
const ON_DEMAND = "x-prerender-revalidate";
const ROUTE_PARAMETERS = "x-vinext-prerender-route-params";

/** With one of these, a response may be for this visitor alone, or a part of what the others get. */
const NEVER_KEPT = ["authorization", "range"];

/** Headers that identify a visitor. */
const CREDENTIALS = ["cookie", "proxy-authorization", "x-api-key"];

/** Headers by which a visitor must not change what others get: claims about the URL, and conditions. */
const NOT_FOR_KEPT_RESPONSES =
  /^(?:if-(?:match|modified-since|none-match|range|unmodified-since)|x-(?:host|http-method-override|method-override|original-(?:host|url)|rewrite-url))$/;

/** Those of them from which vinext itself takes the URL's origin, whoever has written them. */
const OF_THE_ORIGIN = /^(?:forwarded|x-forwarded-(?!for$).*)$/;

/**
 * @typedef {object} Resource
 * @property {string} path the path in the key
 * @property {string} part the end of the key: `html`, `rsc`, `route`, or a variant of one; of a Pages Router page `pages` or
 *   `data`, with the domain after a colon if i18n has one for the request
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

/** Whether a request has a body, which a route handler may read of a GET, too. */
function hasBody(headers) {
  return !["0", null].includes(headers.get("content-length")) || headers.has("transfer-encoding");
}

/** The path as vinext's `pagesIsrCacheKey` has it: decoded but for what would end a segment. */
function decodedPath(pathname) {
  const decoded = pathname.split("/").map((segment) => {
    try {
      return decodeURIComponent(segment)
        .replace(/%(?=2f|23|3f|5c)/gi, "%25")
        .replace(/[/#?\\]/g, encodeURIComponent);
    } catch {
      return segment;
    }
  });
  return withoutSlash(decoded.join("/"));
}

/** @returns {boolean} whether the call is for a page of the Pages Router */
export function isPagesPage({ kind, resourceKind }) {
  return kind === "pages-page" || (kind === "hybrid-pages" && resourceKind === "page");
}

/** @returns {boolean} whether the call is for a route handler of the App Router */
export function isRouteHandler({ kind }) {
  return kind === "app-route-handler";
}

/** @returns {boolean} whether the call is for a route handler or a metadata file (a sitemap, an icon), whose part is `route` */
export function isFile({ kind }) {
  return kind === "app-route-handler" || kind === "app-metadata";
}

function isPagesData({ isDataRequest, renderOptions }) {
  return isDataRequest === true || renderOptions?.isDataReq === true;
}

function pagesPart(props, { cacheIdentity }) {
  const host = cacheIdentity ? new URL(cacheIdentity.request.url).hostname : ANY_HOST;
  return (isPagesData(props) ? PAGES_DATA : PAGES_HTML) + (host === ANY_HOST ? "" : `:${host}`);
}

/** Whether `getStaticProps` makes the page, so that its URL's query cannot change it. vinext says so by leaving these out. */
function isMadeByStaticProps({ preHandlerHeaders, stagedHeaders }) {
  return preHandlerHeaders === null || stagedHeaders === null;
}

/**
 * @param {any} props
 * @param {import("vinext/server/multi-stage").VinextResponseStageDispatchOptions} options
 * @returns {{path: string, part: string, tagPath: string}} the resource of a page of the Pages Router
 */
export function resourceOfPage(props, options) {
  const path = decodedPath(props.resolvedUrl.split("?", 1)[0]);
  return { path, part: pagesPart(props, options), tagPath: path };
}

/** @returns {boolean} whether the call is for `res.revalidate` of a page of the Pages Router */
export function isOnDemand(request, props) {
  return isKnownProtocol(props) && isPagesPage(props) && request.headers.has(ON_DEMAND);
}

/** @returns {boolean} whether vinext says that a page of the Pages Router, or a route handler's answer, was made without the request */
export function isMadeForEverybody(response) {
  const { headers } = response;
  return headers.get("x-vinext-pages-response-stage-policy-owner") === "static" || headers.get("x-vinext-cache") === "MISS";
}

/** Whether vinext asks itself for a new response. Whoever lacks the build's secret is not believed. */
function asksForNew({ headers }) {
  const secret = process.env.__VINEXT_REVALIDATE_SECRET;
  const given = headers.get(ON_DEMAND);
  return (given !== null && (secret === undefined || given === secret)) || headers.has(ROUTE_PARAMETERS);
}

function hasNonce(headers) {
  return CSP.some((name) => headers.get(name)?.includes("'nonce-"));
}

/**
 * Whether vinext bypasses the cache for a Pages Router page only because middleware has changed the request's headers, or adds
 * a cookie. The page that is kept has read neither.
 */
function isPageBypassedForItsHeaders(request, props) {
  return (
    isPagesPage(props) &&
    (request.method === "GET" || request.method === "HEAD") &&
    !PREVIEW_COOKIE.test(request.headers.get("cookie") ?? "") &&
    !hasNonce(request.headers) &&
    !hasNonce(new Headers(props.stagedHeaders ?? props.preHandlerHeaders ?? [])) &&
    !asksForNew(request)
  );
}

/** @returns {boolean} whether this version of vinext's stages is known */
export function isKnownProtocol({ kind, protocolVersion }) {
  return protocolVersion === (kind.startsWith("pages-") ? PROTOCOLS.pages : PROTOCOLS.app);
}

/**
 * Whether vinext bypasses the cache only because middleware has changed the request's cookies or headers. They matter as little
 * as those that the visitor sent: a page that reads them is dynamic, and never kept. A nonce is in a page's HTML and nowhere else.
 */
function isBypassedForItsHeaders(request, props) {
  return (
    (props.kind === "app-page" || props.kind === "app-route-handler") &&
    (request.method === "GET" || request.method === "HEAD") &&
    props.draftModeCookie === null &&
    (props.scriptNonce === null || props.kind !== "app-page" || props.isRscRequest) &&
    props.forceDynamic !== true &&
    !props.bypassInterceptionContextCache &&
    !asksForNew(request)
  );
}

/**
 * @param {Request} request
 * @param {any} props
 * @param {import("vinext/server/multi-stage").VinextResponseStageDispatchOptions} options
 * @returns {Resource | null} null for what is never kept
 */
export function resourceOf(request, props, options) {
  const { cache, cacheIdentity } = options;
  if (!isKnownProtocol(props)) return null;
  const isBypassed = isBypassedForItsHeaders(request, props) || isPageBypassedForItsHeaders(request, props);
  if (cache === "shared" ? !cacheIdentity : !isBypassed) return null;
  const isCanonical = cacheIdentity?.queryFree === true || !hasQuery(request.url);
  const isForEverybody =
    request.method === "GET" && !NEVER_KEPT.some((name) => request.headers.has(name)) && !hasBody(request.headers);
  // Without an identity, a payload may leave out what the client's router has already.
  const isStorable = isForEverybody && isCanonical && (cacheIdentity !== undefined || !props.isRscRequest);
  switch (props.kind) {
    case "app-page":
      // A page that keeps its query is stored for each, which the key does not say.
      if (!isCanonical && (cacheIdentity || props.cacheability.policyHeaders !== null)) return null;
      return described(props.cachePathname, props.isRscRequest ? rscPart(props) : "html", props, isStorable);
    case "app-route-handler":
      return described(props.cachePathname, routePart(props.cachePathname), props, isStorable);
    case "app-metadata":
      return described(props.cleanPathname, "route", props, isStorable);
    case "pages-page":
    case "hybrid-pages": {
      if (!isPagesPage(props)) return null;
      const isPageStorable = isForEverybody && cacheIdentity !== undefined && (isCanonical || isMadeByStaticProps(props));
      return { ...resourceOfPage(props, options), isStorable: isPageStorable };
    }
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

/** The call for the HTML of a Pages Router page, whatever was asked for. It gives the data, too. */
function pagesReplay(url, props, resolvedUrl) {
  url.pathname = url.pathname.replace(/\/_next\/data\/.*$/, resolvedUrl);
  const { representation, ...cacheability } = props.cacheability;
  if (props.kind === "pages-page") return { ...props, cacheability, renderOptions: null, resolvedUrl, stagedHeaders: null };
  return { ...props, cacheability, isDataRequest: false, preHandlerHeaders: null, requestUrl: url.href, resolvedUrl };
}

/**
 * Describe a call so that it can be repeated for everybody: without the visitor's cookies, credentials and query.
 *
 * @param {Request} request
 * @param {any} props
 * @param {import("vinext/server/multi-stage").VinextResponseStageDispatchOptions} options
 * @param {boolean} isStored whether vinext may take it that the page has been made before
 * @returns {string} for `replayed`
 */
export function replayOf(request, props, { cacheIdentity }, isStored = true) {
  const identity = cacheIdentity && !cacheIdentity.regenerateFromDispatch ? cacheIdentity : documentOf(request, props);
  const url = new URL(identity.request.url);
  const resolvedUrl = identity.props.resolvedUrl?.split("?", 1)[0];
  const headers = SELECTORS.map((name) => [name, identity.request.headers.get(name)]).filter(([, value]) => value !== null);
  for (const name of [...url.searchParams.keys()]) if (name !== "_rsc") url.searchParams.delete(name);
  const canonical = isPagesPage(identity.props) ? pagesReplay(url, identity.props, resolvedUrl) : { ...identity.props, resolvedUrl };
  for (const name of ["middlewareCookieOverlay", "scriptNonce"]) if (name in canonical) canonical[name] = null;
  return JSON.stringify({ url: url.href, headers, props: canonical, isStored });
}

/**
 * @param {string} replay
 * @returns {[Request, any, boolean]} the request and the props that `replayOf` described, and whether the page has been made
 */
export function replayed(replay) {
  const { url, headers, props, isStored } = JSON.parse(replay);
  return [new Request(url, { headers }), props, isStored];
}

/**
 * The request without the headers by which one visitor could change what all get. What middleware has written itself stays.
 *
 * vinext notices when a page of the App Router reads cookies. It does not notice `getInitialProps` of a Pages Router app, which
 * sees the request for a page of `getStaticProps`, too. So such a page is made without what identifies the visitor.
 *
 * @param {Request} request what the request stage passes on
 * @param {Request} visitors what the visitor has sent
 * @param {any} props
 */
export function forKeeping(request, visitors, props) {
  const hidden = isPagesPage(props) && isMadeByStaticProps(props) ? CREDENTIALS : [];
  const isUnwanted = ([name, value]) =>
    OF_THE_ORIGIN.test(name) ||
    hidden.includes(name) ||
    (NOT_FOR_KEPT_RESPONSES.test(name) && value === visitors.headers.get(name));
  const unwanted = [...request.headers].filter(isUnwanted);
  if (unwanted.length === 0) return request;
  const cleaned = new Request(request);
  for (const [name] of unwanted) cleaned.headers.delete(name);
  return cleaned;
}
