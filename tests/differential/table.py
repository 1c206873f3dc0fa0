"""Differences that are right, each with its reason, and those that are faults. A row that nothing matches makes the suite fail."""

from __future__ import annotations

from tests.differential.compare import Row

_NO_STORE = "no-store, must-revalidate"
_HIT = "HIT|STALE"

ACCEPTED = [
    Row(
        "A page that the build rendered is in the cache from the first request on. vinext alone renders it for its first visitor.",
        "state",
        alone="MISS",
        ours="HIT",
        is_first=True,
    ),
    Row(
        "The same: such a page does not say what vinext says of one that is being rendered.",
        "x-vinext-rsc-completion-metadata|x-vinext-stale-time-pending",
        alone="1",
        ours="-",
        besides={"state": "HIT"},
        besides_alone={"state": "MISS"},
    ),
    Row(
        "The same: vinext renders the pages of a build without what it tells its client about a page's age.",
        "says its stale time",
        alone="yes",
        ours="-",
        besides={"state": _HIT},
    ),
    Row(
        "vinext alone renders a page again as it renders those of a build. With the adapter it does so as for a visitor.",
        "says its (kind|stale time|compatibility)",
        alone="-",
        besides={"state": _HIT},
        besides_alone={"state": _HIT},
    ),
    Row(
        "vinext alone does not know the period of a page before it is rendered to its end; the cache does.",
        "cache-control",
        alone=_NO_STORE,
        ours="s-maxage=.*",
        besides={"state": "MISS|HIT"},
        besides_alone={"state": "MISS"},
    ),
    Row("What comes from the cache says how old it is.", "age", alone="-", besides={"state": _HIT}),
    Row("What comes from the cache has an ETag, so that a browser need not load it again.", "etag", alone="-", besides={"state": _HIT}),
    Row("The same.", "status", alone="200", ours="304", request=".* If-None-Match", besides={"state": _HIT}),
    Row(
        "With an adapter that waits for completed pages, vinext says no-store of whatever is no page.",
        "cache-control",
        alone="-",
        ours=_NO_STORE,
        besides={"state": "-"},
    ),
]

KNOWN_FAULTS: list[Row] = []
