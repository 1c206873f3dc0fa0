"""A request, as much of it as decides how it is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Headers(Protocol):
    """A request's headers. Names are looked up without regard to case."""

    def get(self, name: str) -> str | None: ...


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What a visitor asks for.

    `origin` is scheme and host, `path` the percent-encoded path as it was sent, `query`
    what follows the question mark. `raw` is the request object that the page handler gets.
    """

    method: str
    origin: str
    path: str
    query: str
    headers: Headers
    raw: object = None


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """The canonical request for a page: nothing of a visitor in it but the host.

    No cookies, no credentials, no query, no state of the client's router, so that what
    comes back is what every visitor may get.
    """

    origin: str
    path: str
    rsc: bool = False

    @property
    def url(self) -> str:
        """An RSC payload has the URL that vinext's own client uses when it knows nothing."""
        return f"{self.origin}{self.path}?_rsc" if self.rsc else f"{self.origin}{self.path}"

    @property
    def headers(self) -> dict[str, str]:
        if self.rsc:
            return {"RSC": "1", "Accept": "text/x-component"}
        return {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
