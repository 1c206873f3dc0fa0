// Calls of vinext's response stage, as its request stage makes them for an adapter whose identity is query-free.

export const ORIGIN = "https://example.org";
const IDENTITY_ORIGIN = "https://cache-identity.vinext.invalid";

/** The props that all kinds have. */
export const ENVELOPE = {
  buildId: "b1",
  cacheability: { policyHeaders: null, probeMode: null, resolvedRoutePathname: "/a" },
  draftModeCookie: null,
  middlewareCookieOverlay: null,
  protocolVersion: 13,
  requestOrigin: ORIGIN,
  scriptNonce: null,
};

/** The props of a page at `path`. */
export function page(path = "/a", props = {}) {
  return {
    ...ENVELOPE,
    kind: "app-page",
    bypassInterceptionContextCache: false,
    cachePathname: path,
    canUseCanonicalLoadingShell: false,
    canonicalPathname: path,
    cleanPathname: path,
    interceptionContext: null,
    interceptionId: null,
    isRscRequest: false,
    matchKind: "request",
    mountedSlotsHeader: null,
    params: {},
    renderMode: "navigation",
    resolvedUrl: path,
    routePathname: path,
    routePattern: path,
    ...props,
  };
}

export function routeHandler(path = "/api", props = {}) {
  return page(path, { kind: "app-route-handler", ...props });
}

export function metadata(path = "/sitemap.xml", props = {}) {
  return { ...ENVELOPE, kind: "app-metadata", canonicalPathname: path, cleanPathname: path, isRscRequest: false, resolvedUrl: path, ...props };
}

export function request(url = "/a", init = {}) {
  return new Request(new URL(url, ORIGIN), init);
}

/** The options of a shared call; a page's identity drops the query, unless `keepsQuery`. */
export function shared(call, props, { keepsQuery = props.kind !== "app-page" } = {}) {
  const url = new URL(call.url);
  for (const name of keepsQuery ? [] : [...url.searchParams.keys()]) if (name !== "_rsc" || !props.isRscRequest) url.searchParams.delete(name);
  const resolvedUrl = keepsQuery ? props.resolvedUrl : props.resolvedUrl?.split("?", 1)[0];
  const identity = new Request(url.href.replace(url.origin, IDENTITY_ORIGIN), { headers: call.headers, method: call.method });
  const cacheIdentity = { request: identity, props: { ...props, requestOrigin: IDENTITY_ORIGIN, resolvedUrl } };
  return { cache: "shared", cacheIdentity: keepsQuery ? cacheIdentity : { ...cacheIdentity, queryFree: true } };
}

export const BYPASS = { cache: "bypass" };
