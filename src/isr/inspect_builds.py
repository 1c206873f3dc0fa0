"""The inspector's page of builds: those that have entries in the store, how many, and the removal of one that is not in use."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING

from cache.keys import key_build
from isr.inspect_html import page, table, tag
from isr.inspect_site import NOT_LISTED, RefusedError, button, inspect_url, note

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cache.listing import StoreListing
    from isr.answer import CachedAnswer
    from isr.inspect_html import Html
    from isr.inspect_site import InspectedSite

COUNTED_AT_ONCE = 1000
"""As many as KV lists in one call."""

# KV may take half a second to delete a key, and six are under way at a time; a request has half a minute.
PRUNED_AT_ONCE = 300

_DELETES_AT_ONCE = 6

_MAX_LISTS = 20

# In the order in which the store lists them. A build's keys of schema V1 have its ID in the place of `v2`.
_KINDS = ("app-fallback-shell:v1:", "app:v2:", "app:", "pages:v2:", "pages:")

_NO_BUILD = ""


async def builds_page(site: InspectedSite, query: Mapping[str, str], csrf: str, nav: Html) -> CachedAnswer:
    """Return the entries of each build, counted as far as somebody has gone on counting.

    The counts so far are in the URL: no page reads more keys than COUNTED_AT_ONCE.
    """
    if site.listing is None:
        return page("Builds", note(NOT_LISTED), nav=nav)
    if (build := query.get("prune")) is not None:
        return _asked(site, build, csrf, nav)
    listed = await site.listing.keys("", query.get("cursor"), COUNTED_AT_ONCE)
    counts = _counted(query.get("counts", "{}"))
    counts.update(key_build(key) or _NO_BUILD for key in listed.keys)
    is_whole = listed.cursor is None
    rows = [_row(site, build, count, is_whole=is_whole) for build, count in sorted(counts.items()) if build != _NO_BUILD]
    parts: list[object] = []
    if (pruned := query.get("pruned")) is not None:
        parts.append(
            tag(
                "p", f"Entries of the build {pruned} that were removed: {query.get('removed', '')}.", class_="note", role="status"
            )
        )
        if query.get("rest"):
            parts += [note("It has more."), button(csrf, "prune", "Remove more", build=pruned)]
    parts.append(
        table(("build", "entries", "use", "prune"), rows) if rows else note("The store has no entry that names a build.")
    )
    said = f"Entries counted: {counts.total()}, of which {counts[_NO_BUILD]} name no build, as those of the data cache."
    if listed.cursor is None:
        parts.append(note(f"{said} These are all."))
    else:
        go_on = inspect_url("/builds", cursor=listed.cursor, counts=json.dumps(counts, separators=(",", ":")))
        parts += [
            note(f"{said} There are more, of these builds or of others. `vinext-worker prune --dry-run` counts all of them."),
            tag("p", tag("a", f"Count {COUNTED_AT_ONCE} more", href=go_on, rel="next")),
        ]
    return page("Builds", *parts, nav=nav)


def _row(site: InspectedSite, build: str, count: int, *, is_whole: bool) -> tuple[object, ...]:
    link = tag("a", build, href=inspect_url(build=build))
    entries = str(count) if is_whole else f"more than {count - 1}"
    if build == site.build.build_id:
        return link, entries, "this Worker serves it", ""
    return link, entries, "this Worker does not serve it", tag("a", f"Prune {build} …", href=inspect_url("/builds", prune=build))


def _asked(site: InspectedSite, build: str, csrf: str, nav: Html) -> CachedAnswer:
    _require_unused(site, build)
    said = (
        f"This Worker serves the build {site.build.build_id}. If a version of the Worker that serves {build} still has visitors, "
        "in a gradual deployment or after a rollback, its pages have to be rendered again."
    )
    return page(
        f"Remove the entries of the build {build}?",
        tag("p", said),
        tag("p", "Nothing brings the entries back."),
        button(csrf, "prune", f"Remove the entries of {build}", build=build),
        tag("p", tag("a", "Keep them", href=inspect_url("/builds"))),
        nav=nav,
    )


async def prune(site: InspectedSite, build: str) -> str:
    """Remove entries of a build that is not served, PRUNED_AT_ONCE of them; return the URL that tells of it."""
    _require_unused(site, build)
    if site.listing is None:
        raise RefusedError(400, NOT_LISTED)
    keys, has_more = await _keys_of(site.listing, build)
    for start in range(0, len(keys), _DELETES_AT_ONCE):
        await asyncio.gather(*map(site.listing.delete, keys[start : start + _DELETES_AT_ONCE]))
    return inspect_url("/builds", pruned=build, removed=str(len(keys)), **({"rest": "1"} if has_more else {}))


async def _keys_of(listing: StoreListing, build: str) -> tuple[list[str], bool]:
    """Return keys of a build, at most PRUNED_AT_ONCE, and whether it may have more."""
    keys: list[str] = []
    lists = 0
    for kind in _KINDS:
        cursor: str | None = None
        # Where an ID is the beginning of another's, some of the listed keys are the other's.
        while len(keys) < PRUNED_AT_ONCE and lists < _MAX_LISTS:
            lists += 1
            listed = await listing.keys(f"{kind}{build}:", cursor, PRUNED_AT_ONCE - len(keys))
            keys += [key for key in listed.keys if key_build(key) == build]
            cursor = listed.cursor
            if cursor is None:
                break
        else:
            return keys, True
    return keys, False


def _require_unused(site: InspectedSite, build: str) -> None:
    back = inspect_url("/builds")
    if not build:
        raise RefusedError(400, "name the build", back)
    if build == site.build.build_id:
        raise RefusedError(409, f"this Worker serves the build {build}: its entries are in use", back)


def _counted(text: str) -> Counter[str]:
    """Return the counts that a URL brings; they are shown, and decide nothing."""
    try:
        counts = json.loads(text)
    except ValueError:
        counts = None
    if not isinstance(counts, dict) or not all(isinstance(count, int) and count > 0 for count in counts.values()):
        raise RefusedError(400, "the counts in the URL are none; count from the beginning", inspect_url("/builds"))
    return Counter({str(build): count for build, count in counts.items()})
