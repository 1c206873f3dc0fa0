"""The inspector's page of tags: which were invalidated, when, and how."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from isr.inspect_html import field, html, page, table, tag
from isr.inspect_site import NOT_LISTED, inspect_url, next_page, note
from isr.story import time_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cache.look import Mark
    from core.runtime import Clock
    from isr.answer import CachedAnswer
    from isr.inspect_html import Html
    from isr.inspect_site import InspectedSite

TAGS_AT_ONCE = 100

KINDS = {"gone": "invalidated at once", "stale": "made stale"}

_HINT = (
    "A path that was revalidated stands as its tag, which begins with _N_T_. Tags that nobody has invalidated are not in the "
    "list: the page of an entry has them."
)

_UNREADABLE = "a marker that cannot be read: each page with the tag is taken for invalid"


async def tags_page(site: InspectedSite, query: Mapping[str, str], clock: Clock, nav: Html) -> CachedAnswer:
    """Return a page of the tags that were invalidated in one of two ways, in the order of their names."""
    prefix, kind = query.get("prefix", ""), query.get("kind", "gone")
    options = (tag("option", name, value=value, **({"selected": ""} if value == kind else {})) for value, name in KINDS.items())
    search = tag(
        "form",
        tag("label", "Tag begins with ", field(name="prefix", value=prefix)),
        tag("label", "Last ", tag("select", *options, name="kind")),
        tag("button", "List"),
        method="get",
        action=inspect_url("/tags"),
    )
    if site.listing is None:
        return page("Tags", search, note(NOT_LISTED), nav=nav)
    are_stale = kind == "stale"
    listed = await site.listing.marks(prefix, query.get("cursor"), TAGS_AT_ONCE, are_stale=are_stale)
    rows = [_row(mark, clock()) for mark in listed.marks]
    names = ("tag", "when", "effect") if rows else ()
    said = [f"Tags read: {len(rows)}."]
    if not rows:
        said = [f"The store has no tag that was {KINDS['stale' if are_stale else 'gone']}{' and begins so' if prefix else ''}."]
    said.append(
        "A path that was revalidated stands as its tag, which begins with _N_T_. Other isolates may know of a tag a minute"
    )
    said.append("later. Tags that nobody has invalidated are not in the list: an entry's page has them.")
    shown = table(names, rows) if rows else html()
    return page("Tags", search, shown, note(" ".join(said)), next_page("/tags", listed.cursor, prefix=prefix, kind=kind), nav=nav)


def _row(mark: Mark, now_ms: int) -> Sequence[object]:
    link = tag("a", mark.tag, href=inspect_url(tag=mark.tag))
    if math.isinf(mark.at_ms):
        return link, "", _UNREADABLE
    at = time_text(mark.at_ms)
    if mark.stale_until_ms is None:
        return link, at, "pages that are older are gone"
    until = time_text(mark.stale_until_ms)
    if now_ms > mark.stale_until_ms:
        return link, at, f"pages that are older were stale until {until}, and are gone"
    return link, at, f"pages that are older are stale until {until}"
