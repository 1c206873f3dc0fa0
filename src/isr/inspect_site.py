"""What the pages of the inspector share: the site that they are about, and the names and URLs of its entries."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from cache.keys import I18N_MARK, key_build, page_key, pages_router_key
from core.paths import INSPECT_URL, canonical_url_path
from isr.inspect_html import field, html, tag
from isr.lookup import url_path_of
from seed.build import Artifact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cache.handler import EntryCache
    from cache.listing import StoreListing
    from isr.admin import Invalidation
    from isr.inspect_html import Html
    from isr.numbers import Numbers
    from isr.regeneration import Regeneration
    from isr.served_build import ServedBuild
    from isr.why import Why
    from pages.request import PageRequest

_APP_FORM = re.compile(r"(.*):((?:html|rsc|route)(?::[a-z0-9:-]+)?)", re.DOTALL)

NOT_LISTED = "Nobody can list this cache: it is in memory alone, or the site's own."


@dataclass(frozen=True)
class InspectedSite:
    """The cache of the request's host; `listing` None: nobody can list it. `numbers` count since `started_ms`.

    `visit` makes the request for a URL path, with some headers, that a visitor whom nobody knows would send.
    """

    entries: EntryCache
    invalidation: Invalidation
    build: ServedBuild
    why: Why
    regeneration: Regeneration
    listing: StoreListing | None
    numbers: Numbers
    started_ms: int
    visit: Callable[[str, Mapping[str, str]], PageRequest]

    def serves(self, build: ServedBuild) -> bool:
        """Return whether a build is the one that is served."""
        return build.build_id == self.build.build_id


class RefusedError(Exception):
    """The request is answered with a status and a reason; `back` leads to where the person came from."""

    def __init__(self, status: int, reason: str, back: str = INSPECT_URL) -> None:
        self.status = status
        self.back = back
        super().__init__(reason)


@dataclass(frozen=True)
class NamedEntry:
    """What the key of an entry says: the build, the path, as in keys, and the form. `url` is None if the key does not tell it."""

    build: ServedBuild
    path: str
    form: str
    url: str | None

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a request for it."""
        return {"RSC": "1", "Accept": "text/x-component"} if self.form.partition(":")[0] == Artifact.RSC else {}


def key_prefix(build: ServedBuild, router: str) -> str:
    """Return what stands before the path in the keys of a build."""
    if router == "app":
        return page_key(build.schema, build.build_id, "/", "html").removesuffix("/:html")
    return pages_router_key(build.schema, build.build_id, "/").removesuffix("/")


def named_entry(served: ServedBuild, key: str) -> NamedEntry | None:
    """Return what a key says, None for one that is no page's: of the build that is served, or of another."""
    build_id = key_build(key)
    build = served if build_id is None else replace(served, build_id=build_id)
    for router in build.routers:
        prefix = key_prefix(build, router)
        if not key.startswith(f"{prefix}/"):
            continue
        rest = key.removeprefix(prefix)
        if router != "app":
            path, mark, _ = rest.partition(I18N_MARK)
            # Which language has which URL depends on the host.
            return NamedEntry(build, path, Artifact.PAGES.value, None if mark else _url(build, path))
        found = _APP_FORM.fullmatch(rest)
        if found is not None:
            path, form = found[1], found[2]
            at_slash = form.endswith(":trailing-slash") and not path.endswith("/")
            return NamedEntry(build, path, form, f"{_url(build, path)}/" if at_slash else _url(build, path))
    return None


def required_entry(served: ServedBuild, key: str) -> NamedEntry:
    """Return what a key says; raise RefusedError for one that is no page's."""
    named = named_entry(served, key)
    if named is None:
        raise RefusedError(404, f"{key!r} is the key of no page")
    return named


def _url(build: ServedBuild, path: str) -> str:
    return canonical_url_path(url_path_of(path, build))


def entry_url(**query: str) -> str:
    """Return the URL of an entry's page."""
    return inspect_url("/entry", **query)


def inspect_url(below: str = "", **query: str) -> str:
    """Return the URL of a page of the inspector."""
    asked = f"?{urlencode(query, errors='replace')}" if query else ""
    return f"{INSPECT_URL}{below}{asked}"


def button(csrf: str, do: str, label: str, **fields: str) -> Html:
    """Return a form that does something with one button."""
    hidden = [field(type="hidden", name=name, value=value) for name, value in {"csrf": csrf, **fields}.items()]
    return tag("form", *hidden, tag("button", label, name="do", value=do), method="post", action=inspect_url("/do"))


def next_page(below: str, cursor: str | None, **query: str) -> Html:
    """Return the link to the next page of a list, nothing where there is none."""
    if cursor is None:
        return html()
    return tag("p", tag("a", "Next page", href=inspect_url(below, **query, cursor=cursor), rel="next"))


def note(text: str, *, is_bad: bool = False) -> Html:
    """Return a paragraph that is set off."""
    return tag("p", text, class_="note bad" if is_bad else "note")
