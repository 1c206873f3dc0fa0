"""The choice of pages to render. No I/O."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from isr.lookup import CachedOnly, Hidden, Lookup, PassBy, Ruled, classify, url_path_of
from pages.request import PageRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from isr.served_build import ServedBuild
    from vinext_worker.cloudflare.analytics import PathCount

_FILE = re.compile(r"\.(?!html?$)[a-z0-9]{1,8}$", re.IGNORECASE)
_FOLDERS = {
    "/_next/": "a file of the framework",
    "/__vinext/": "the Worker's own endpoint",
    "/cdn-cgi/": "Cloudflare's own",
    "/api/": "a route handler below /api/",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A page: how it is looked up, and how often it was requested."""

    lookup: Lookup
    requests: int


@dataclass(frozen=True)
class Selection:
    """The fewest pages that reach the coverage; `skipped` has the other paths with the reasons, most requested first."""

    chosen: tuple[Candidate, ...]
    skipped: tuple[tuple[str, str], ...]
    requests: int
    """The number of requests for pages, without files and the like."""

    @property
    def coverage(self) -> float:
        """The share of requests that the chosen pages cover, from 0 to 1."""
        return sum(candidate.requests for candidate in self.chosen) / self.requests if self.requests else 0.0


def select(paths: Iterable[PathCount], site: ServedBuild, coverage: float, max_pages: int) -> Selection:
    """Choose pages until they cover a share of all page requests; `coverage` is from 0 to 1."""
    counts: Counter[str] = Counter()
    lookups: dict[str, Lookup] = {}
    skipped: list[tuple[str, str]] = []
    for row in paths:
        lookup = _page(row.path, site)
        if isinstance(lookup, str):
            skipped.append((row.path, lookup))
            continue
        # Several spellings of a path, such as with and without a slash, are one page.
        counts[lookup.path] += row.requests
        lookups.setdefault(lookup.path, lookup)
    requests = counts.total()
    chosen: list[Candidate] = []
    reached = 0
    for path, count in counts.most_common():
        if reached >= coverage * requests:
            skipped.append((path, "the coverage is reached without it"))
        elif len(chosen) >= max_pages:
            skipped.append((path, f"there are {max_pages} pages already (--limit)"))
        else:
            chosen.append(Candidate(lookups[path], count))
            reached += count
    return Selection(tuple(chosen), tuple(skipped), requests)


def _page(path: str, site: ServedBuild) -> Lookup | str:
    """Return the page at a path as visitors spell it, or the reason why there is none."""
    rest = path.removeprefix(site.base_path)
    reason = _no_page_reason(rest)
    if reason is not None:
        return reason
    if path.startswith(site.base_path):
        path = url_path_of(rest.rstrip("/") or "/", site)
    match classify(PageRequest("GET", "", path, "", {}), site):
        case Lookup() as lookup:
            return lookup
        case Ruled():
            return "a rule of the app comes first, and decides for each visitor"
        case PassBy(reason, detail):
            return f"{reason} ({detail})" if detail else reason
        case CachedOnly(_, _, reason):
            return reason
        case Hidden():
            return "below a hidden folder"


def _no_page_reason(path: str) -> str | None:
    if not path.startswith("/"):
        return None if path == "" else "not a path"
    for folder, reason in _FOLDERS.items():
        if path.startswith(folder):
            return reason
    if path.endswith(".rsc"):
        return "an RSC payload; it is rendered together with its page"
    return "a file" if _FILE.search(path) else None
