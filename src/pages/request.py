"""A visitor's request, and a request for the cache: the parts of them that decide the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

HeaderItems = tuple[tuple[str, str], ...]

# Headers by which a visitor must not change an answer that others get: claims about the host and the URL, which nothing in
# front of a Worker vouches for, conditions that make an answer partial or empty, and encodings, in which nothing is stored.
NOT_FOR_KEPT_ANSWERS = (
    "accept-encoding",
    "forwarded",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "range",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-host",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-original-url",
    "x-rewrite-url",
)


class Headers(Protocol):
    """A request's headers. Names are looked up without regard to case."""

    def get(self, name: str) -> str | None: ...


class GivenHeaders:
    """Headers from a dict."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = {name.lower(): value for name, value in values.items()}

    def get(self, name: str) -> str | None:
        return self._values.get(name.lower())


NO_HEADERS = GivenHeaders({})


@dataclass(frozen=True)
class PageRequest:
    """A visitor's request.

    `origin` is scheme and host, `path` the percent-encoded path as it was sent, `query` the part after the question mark.
    `raw` is the request object for the page handler. If the answer may be kept, the handler answers at the URL of `kept_as`, with
    the headers of `raw` but for NOT_FOR_KEPT_ANSWERS: no spelling of a visitor's gets into what others see.
    """

    method: str
    origin: str
    path: str
    query: str
    headers: Headers
    raw: object = None
    kept_as: RenderRequest | None = None

    @property
    def host(self) -> str:
        """The host in lower case, without its port."""
        authority = self.origin.partition("://")[2].lower()
        name, colon, port = authority.rpartition(":")
        return name if colon and port.isdigit() else authority


@dataclass(frozen=True)
class RenderRequest:
    """The canonical request for a page, with nothing of a visitor in it but the host.

    It has no cookies, no credentials, no query and no state of a client's router, so every visitor may get the answer.
    `rsc` asks for the RSC payload. `replay` describes the request to an app in stages that has answered it before
    (`pages.stages`). With `is_stored`, the cache has the page already. `selected` are the headers by which one variant of the
    page is asked for, "" for one that the request must not have (`isr.variants`).
    """

    origin: str
    path: str
    rsc: bool = False
    replay: str | None = None
    is_stored: bool = False
    selected: HeaderItems = ()

    @property
    def url(self) -> str:
        """The URL; for an RSC payload, the one that vinext's own client uses without any state."""
        return f"{self.origin}{self.path}?_rsc" if self.rsc else f"{self.origin}{self.path}"

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a request that is nobody's."""
        general = self.selectors or {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
        if not self.selected:
            return general
        names = {name for name, _ in self.selected}
        kept = {name: value for name, value in general.items() if name.lower() not in names}
        return kept | {name: value for name, value in self.selected if value}

    @property
    def selectors(self) -> dict[str, str]:
        """Those of the headers that say which of the page's artifacts is wanted."""
        return {"RSC": "1", "Accept": "text/x-component"} if self.rsc else {}
