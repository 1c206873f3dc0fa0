"""RSC payloads that vinext has put into a shared cache itself.

It leaves out the headers without which its client loads the whole page instead, and adds them when it answers. So do we.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote
from weakref import WeakKeyDictionary

from cache.document import with_bodies
from cache.entry import AppPageValue
from core.body import EMPTY_BODY
from isr.store import Found
from seed.build import Artifact
from seed.routes import client_headers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cache.entry import CacheEntry, EntryIdentity
    from isr.lookup import Lookup
    from isr.site import Site

_COMPATIBILITY_HEADER = "x-vinext-rsc-compatibility-id"


def with_client_headers(found: Found, lookup: Lookup, site: Site) -> Found:
    """The same, its RSC payload with the headers that vinext's client needs, as far as the build is known."""
    value = found.entry.value
    if found.artifact is not Artifact.RSC or not site.rsc_headers or not isinstance(value, AppPageValue):
        return found
    kept = value.headers or {}
    if any(name.lower() == _COMPATIBILITY_HEADER for name in kept):
        return found
    completed = _completed.get(found.entry.identity)
    if completed is None or completed.site is not site or completed.url_path != lookup.url_path:
        path = lookup.url_path.removeprefix(site.base_path).rstrip("/") or "/"
        headers = {**client_headers(route_pattern(path, found.entry.tags), path), **site.rsc_headers, **kept}
        entry = replace(found.entry, value=replace(value, html=EMPTY_BODY, rsc_data=None, headers=headers))
        completed = _completed[found.entry.identity] = _Completed(site, lookup.url_path, entry)
    entry = with_bodies(completed.entry, {"html": value.html, "rscData": found.body})
    return Found(entry, found.artifact, found.body, found.state)


@dataclass(frozen=True)
class _Completed:
    """The entry of a payload without its body, and for what its headers are."""

    site: Site
    url_path: str
    entry: CacheEntry


_completed: WeakKeyDictionary[EntryIdentity, _Completed] = WeakKeyDictionary()


def route_pattern(path: str, tags: Iterable[str]) -> str:
    """The route of a page as the manifest writes it (`/blog/:slug`), out of its tags (`_N_T_/blog/[slug]/page`).

    The path itself where no tag names a route that it belongs to.
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
