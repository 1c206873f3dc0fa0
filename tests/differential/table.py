"""Differences that are right, each with its reason, and those that are faults. A row that nothing is like is an error."""

from __future__ import annotations

from tests.differential.compare import Row

_NO_STORE = "no-store, must-revalidate"
_PERIOD = "s-maxage=.*"
_CACHED = "HIT|STALE"
_COMPONENTS = ("cache_components", "use_cache")
_PREFETCH = ".* Next-Router-Prefetch: 1 Next-Router-State-Tree: .*"

ACCEPTED = [
    # Pages of the build
    Row(
        "A page of the build is in the cache from the first request on. vinext alone renders it for its first visitor.",
        "state",
        alone="MISS",
        ours="HIT",
        is_first=True,
    ),
    Row(
        "A page of the Pages Router without data functions is a page of the build as any other. vinext alone renders it each time.",
        "state",
        apps=("pages_and_app", "locales"),
        alone="-",
        ours="HIT",
        visit="no props|home",
    ),
    Row(
        "The same; with cacheComponents vinext alone does not even say that it is a MISS.",
        "state",
        apps=_COMPONENTS,
        alone="-",
        ours=_CACHED,
        request="GET /(slowuse|cached|life|products|quick|form|draft)",
        is_first=True,
    ),
    Row(
        "What cacheLife says is known of a page of the build. vinext alone knows it when the page has been rendered to its end.",
        "x-nextjs-stale-time",
        apps=("invalidation", *_COMPONENTS),
        alone="-",
        ours="300|30",
        is_first=True,
        besides={"state": "HIT"},
    ),
    Row(
        "A page of the build need not be waited for.",
        "streams",
        apps=("cache_components",),
        alone="yes",
        ours="no",
        visit="a cached part that waits",
    ),
    Row(
        "Such a page does not say what vinext says of one that is being rendered.",
        "x-vinext-rsc-completion-metadata|x-vinext-stale-time-pending",
        alone="1",
        ours="-",
        besides={"state": _CACHED},
        besides_alone={"state": "MISS|-"},
    ),
    Row(
        "vinext renders a build's pages without what it tells its client about their age.",
        "says its (kind|stale time)",
        besides={"state": _CACHED},
    ),
    Row(
        "vinext puts the title of a page that it renders for a build into the head. For a visitor it streams it afterwards.",
        "body|payload",
        apps=("i18n", "example"),
        alone=".*<title>.*",
        request="GET /((de|fr)/about|blog/%E6|blog/a%2B).*",
        besides={"state": "HIT"},
    ),
    Row(
        "A page of the build comes with the Link of its style sheets. vinext alone drops that from what it keeps.",
        "link",
        apps=("example",),
        alone="-",
        besides={"state": "HIT"},
        besides_alone={"state": "HIT"},
    ),
    Row(
        "A redirect of the build says of what it varies, as any entry. vinext alone says it from its second answer on.",
        "vary|content-type",
        apps=("example", "vite_config"),
        alone="-",
        request="GET (/shop)?/moved/?",
        besides={"state": "HIT"},
        besides_alone={"state": "MISS"},
    ),
    Row(
        "With cacheComponents vinext alone renders a page that is wholly static for each request, and says nothing about it.",
        "state|cache-control|x-vinext-rsc-completion-metadata|x-vinext-stale-time-pending",
        apps=_COMPONENTS,
        alone="-|1",
        ours=f"HIT|-|{_PERIOD}",
        visit="a page that is static|static",
        besides={"state": "HIT"},
    ),
    # Answers that are not kept
    Row(
        "What was rendered for a visitor with credentials, or who wants a part, is not kept. The page is rendered once more for that.",
        "state",
        apps=("before_the_cache", "own_entry"),
        alone="MISS",
        ours="-",
        request="GET /(isr-behind|guarded)/.* (Authorization|Range): .*",
    ),
    Row(
        "The same.",
        "renewed",
        apps=("before_the_cache", "own_entry"),
        alone="no",
        ours="yes",
        visit="credentials for a page with a period|a part|a password before a page that is not of the build",
        besides={"state": "HIT"},
    ),
    Row(
        "So it is with the answer to a query that a route handler with a period has not read.",
        "state",
        apps=("streaming",),
        alone="MISS",
        ours="-",
        request="GET /api/plainfeed[?]q=1",
    ),
    Row(
        "What everybody gets is made without cookies. vinext alone shows everybody what getInitialProps of the app has read from those "
        "of the page's first visitor.",
        "body",
        apps=("headers",),
        alone=".*user=ann.*",
        ours=".*nobody.*",
        visit="getInitialProps of the app",
    ),
    # Spellings
    Row(
        "A page that no rule touches is asked for at its canonical URL: no spelling of a visitor's decides what its entry keeps.",
        "x-product",
        apps=("headers",),
        alone="%61bc|suffix.rsc",
        ours="abc|suffix",
    ),
    Row("The same.", "payload", apps=("pages_and_app",), request="GET /isr.rsc"),
    Row(
        "With trailingSlash, vinext alone redirects the URL of a payload, for which its client never asks.",
        "status",
        apps=("vite_config",),
        alone="308",
        ours="404",
        request="GET /shop/index.rsc",
    ),
    Row(
        "What is asked for by a spelling that no client uses is not kept.",
        "state",
        apps=("headers", "vite_config"),
        alone="MISS",
        ours="-",
        request="GET .*/(%61bc|c%2Ed/)",
    ),
    # Data
    Row(
        "The page is rendered again with what a tagged fetch gives then. vinext alone gives it the old value once more.",
        "body|payload",
        apps=("invalidation",),
        alone=".*built.*",
        visit="tags of fetched",
        steps=(5,),
    ),
    Row(
        "`res.revalidate` of a page in one language invalidates the page in all. vinext alone keeps the others.",
        "state|renewed|cache-control",
        apps=("locales",),
        alone="HIT|no|s-maxage=.*",
        ours="MISS|yes|no-store.*",
        visit="renewed on demand",
        steps=(7,),
    ),
    # What is said about an answer
    Row(
        "vinext alone does not know the period of a page before it is rendered to its end; the cache does.",
        "cache-control",
        alone=f"{_NO_STORE}|-",
        ours=_PERIOD,
        besides={"state": "HIT|STALE"},
        besides_alone={"state": "MISS|-"},
    ),
    Row("What comes from the cache says how old it is.", "age", alone="-", besides={"state": _CACHED}),
    Row(
        "What comes from the cache has an ETag, so that a browser need not load it again.",
        "etag",
        alone="-",
        besides={"state": _CACHED},
    ),
    Row("The same.", "status", alone="200", ours="304", request=".* If-None-Match", besides={"state": _CACHED}),
    Row(
        "With an adapter that waits for completed pages, vinext says no-store of whatever is no page.",
        "cache-control",
        alone="-",
        ours=_NO_STORE,
        besides={"state": "-"},
    ),
    Row(
        "The same, in other words.",
        "cache-control",
        alone="private, no-cache, no-store.*",
        ours=_NO_STORE,
    ),
    Row(
        "An answer that sets a visitor's cookie is for no shared cache, wherever it came from. vinext alone lets one keep it.",
        "cache-control",
        alone=_PERIOD,
        ours=_NO_STORE,
        besides={"set-cookie": ".+"},
    ),
    Row(
        "vinext alone renders a page again as it renders those of a build. With the adapter it does so as for a visitor.",
        "says its compatibility",
        alone="-",
        besides={"state": _CACHED},
        besides_alone={"state": _CACHED},
    ),
    Row(
        "Under a Cache-Control of next.config a page may differ by its query, so that one with a query is rendered.",
        "state",
        apps=("before_the_cache",),
        alone="HIT",
        ours="-",
        request="GET /policy/static[?]a=1",
    ),
    # What vinext's client asks for
    Row(
        "A prefetch with the client's state gets the page's one payload. vinext alone answers it with a loading shell.",
        "payload|renewed|state|cache-control|x-nextjs-stale-time|x-vinext-rsc-completion-metadata|x-vinext-stale-time-pending",
        apps=("example", *_COMPONENTS),
        request=_PREFETCH,
        besides={"state": _CACHED},
    ),
    Row(
        "So the loading shell itself is not there yet.",
        "state|x-vinext-rsc-completion-metadata|x-vinext-stale-time-pending",
        apps=("example",),
        visit="payloads",
        request="GET /big.* prefetch-loading-shell",
        besides={"state": "MISS"},
    ),
    Row(
        "A payload in the cache is served for any _rsc, or none. vinext alone redirects to its canonical URL first.",
        "status",
        apps=("example",),
        alone="307",
        ours="200",
        request="GET /big RSC: 1",
    ),
    Row(
        "vinext alone keeps a payload that is asked for with a query, and does not call it a MISS.",
        "state",
        apps=("streaming",),
        alone="-",
        ours="MISS",
        request="GET /plain/query[?]a=1.*",
    ),
    Row(
        "vinext alone calls the payload of a page with a hole a MISS each time. It is not kept by either.",
        "state",
        apps=("use_cache",),
        alone="MISS",
        ours="-",
        request="GET /(p|products)/(one|two)[?]_rsc .*",
    ),
    Row(
        "vinext built in stages puts headers of next.config on a page's own redirect, as Next.js does. Built in one it leaves them out.",
        "x-everywhere|x-page",
        apps=("vite_config",),
        alone="-",
        request="(GET|HEAD) /shop/moved/",
    ),
    Row(
        "vinext built in stages says parameters and path of every payload, in its request stage. Built in one it leaves them out of "
        "an intercepted one.",
        "x-vinext-params|x-vinext-rendered-path-and-search",
        apps=("parallel_routes",),
        alone="-",
        request=".* X-Vinext-Interception-Context: /feed.*",
    ),
]

KNOWN_FAULTS: list[Row] = []
"""Differences that are wrong, until they are mended. They are looked at after those that are right."""

KNOWN_CLAIMS: dict[tuple[str, str], str] = {}
"""Claims that are believed although nobody should: app and claim to the reason. One that is not believed makes the suite fail."""
