"""The headers of RSC payloads that vinext has put into a shared cache itself.

vinext stores an RSC payload without the headers that its client needs to use it, and adds them to each answer. The page
cache does the same. One of them has the search of the visitor's URL too, which no entry has.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote
from weakref import WeakKeyDictionary

from cache.document import with_bodies
from cache.entry import AppPageValue
from core.body import EMPTY_BODY
from core.http import SPECIAL_STATUSES
from core.javascript import encode_uri_component
from isr.lookup import search_of
from isr.store import CachedPage
from seed.build import Artifact
from seed.routes import RENDERED_HEADER, client_headers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cache.entry import CacheEntry, EntryIdentity
    from isr.answer import CachedAnswer
    from isr.lookup import Lookup
    from isr.served_build import ServedBuild
    from pages.request import Headers

_COMPATIBILITY_HEADER = "x-vinext-rsc-compatibility-id"


def with_client_headers(page: CachedPage, lookup: Lookup, build: ServedBuild) -> CachedPage:
    """Return the page with the headers that vinext's client needs of an RSC payload, if the build is known."""
    value = page.entry.value
    if page.artifact is not Artifact.RSC or not build.rsc_headers or not isinstance(value, AppPageValue):
        return page
    kept = value.headers or {}
    if any(name.lower() == _COMPATIBILITY_HEADER for name in kept):
        return page
    completed = _completed.get(page.entry.identity)
    if completed is None or completed.build is not build or completed.url_path != lookup.url_path:
        path = lookup.url_path.removeprefix(build.base_path) or "/"
        headers = {**client_headers(route_pattern(path, page.entry.tags), path), **build.rsc_headers, **kept}
        entry = replace(page.entry, value=replace(value, html=EMPTY_BODY, rsc_data=None, headers=headers))
        completed = _completed[page.entry.identity] = _Completed(build, lookup.url_path, entry)
    entry = with_bodies(completed.entry, {"html": value.html, "rscData": page.body})
    return CachedPage(entry, page.artifact, page.body, page.state)


def with_search(answer: CachedAnswer, query: str) -> CachedAnswer:
    """Return the answer of an RSC payload with the search of the visitor's URL, which vinext's client takes from its headers."""
    search = search_of(query)
    if not search:
        return answer
    suffix = encode_uri_component(f"?{search}")
    name_of = RENDERED_HEADER.lower()
    shown = tuple((name, f"{text}{suffix}" if name.lower() == name_of else text) for name, text in answer.fixed_headers)
    return replace(answer, fixed_headers=shown)


def with_prefetch_status(answer: CachedAnswer, headers: Headers) -> CachedAnswer:
    """Return the answer of an RSC payload with the status 200 for the prefetch of a link to a page that is not there.

    vinext's client keeps no prefetch of another status, and would load the whole document when the link is followed.
    """
    if answer.status not in SPECIAL_STATUSES or headers.get("next-router-prefetch") != "1":
        return answer
    return answer if headers.get("next-router-segment-prefetch") is None else replace(answer, status=200)


@dataclass(frozen=True)
class _Completed:
    """The entry of an RSC payload without its body, and the URL and the build that its headers are for."""

    build: ServedBuild
    url_path: str
    entry: CacheEntry


_completed: WeakKeyDictionary[EntryIdentity, _Completed] = WeakKeyDictionary()


def route_pattern(path: str, tags: Iterable[str]) -> str:
    """Return the route of a page as the manifest writes it (`/blog/:slug`), read from its tags (`_N_T_/blog/[slug]/page`).

    Return the path itself if no tag names a route that the page belongs to.
    """
    for tag in tags:
        if tag.startswith("_N_T_/") and tag.endswith("/page") and "[" in tag:
            pattern = tag.removeprefix("_N_T_").removesuffix("/page")
            # Groups and slots are no part of the URL.
            parts = [_manifest_part(part) for part in pattern.split("/") if part and part[0] not in "(@"]
            if _is_route_of(parts, path):
                return "/" + "/".join(parts)
    return path


def _manifest_part(part: str) -> str:
    name = part.strip("[]").removeprefix("...")
    if part.startswith("[[..."):
        return f":{name}*"
    if part.startswith("[..."):
        return f":{name}+"
    return f":{name}" if part.startswith("[") else part


def _is_route_of(parts: list[str], path: str) -> bool:
    segments = [unquote(segment) for segment in path.split("/") if segment]
    for position, part in enumerate(parts):
        if part.startswith(":") and part[-1] in "*+":
            return part[-1] == "*" or position < len(segments)
        if position >= len(segments) or not (part.startswith(":") or unquote(part) == segments[position]):
            return False
    return len(parts) == len(segments)
