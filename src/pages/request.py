"""A request, as much of it as decides how it is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

HeaderItems = tuple[tuple[str, str], ...]

# What a visitor must not choose for an answer that others get: claims about the host and the
# URL (nobody in front of a Worker vouches for them), and what makes an answer partial or empty.
NOT_FOR_KEPT_ANSWERS = (
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

WANTS_PAYLOAD_HEADER = "X-Vinext-Wants-Payload"
"""Asks the adapter for a page's RSC payload, behind the HTML in one body."""


class Headers(Protocol):
    """A request's headers. Names are looked up without regard to case."""

    def get(self, name: str) -> str | None: ...


@dataclass(frozen=True)
class PageRequest:
    """What a visitor asks for.

    `origin` is scheme and host, `path` the percent-encoded path as it was sent, `query`
    what follows the question mark. `raw` is the request object that the page handler gets;
    where the answer `may_be_kept`, without the headers of NOT_FOR_KEPT_ANSWERS. One that
    `wants_rsc_payload` asks for the page's RSC payload too, which a page handler need not give.
    """

    method: str
    origin: str
    path: str
    query: str
    headers: Headers
    raw: object = None
    may_be_kept: bool = False
    wants_rsc_payload: bool = False

    @property
    def host(self) -> str:
        """The host in lower case, without its port."""
        authority = self.origin.partition("://")[2].lower()
        name, colon, port = authority.rpartition(":")
        return name if colon and port.isdigit() else authority


@dataclass(frozen=True)
class RenderRequest:
    """The canonical request for a page: nothing of a visitor in it but the host.

    No cookies, no credentials, no query, no state of the client's router, so that what
    comes back is what every visitor may get. `rsc` asks for the RSC payload, `wants_rsc_payload`
    for the page and the payload, which a page handler need not give.
    """

    origin: str
    path: str
    rsc: bool = False
    wants_rsc_payload: bool = False

    @property
    def url(self) -> str:
        """An RSC payload has the URL that vinext's own client uses when it knows nothing."""
        return f"{self.origin}{self.path}?_rsc" if self.rsc else f"{self.origin}{self.path}"

    @property
    def headers(self) -> dict[str, str]:
        if self.rsc:
            return {"RSC": "1", "Accept": "text/x-component"}
        headers = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
        return {**headers, WANTS_PAYLOAD_HEADER: "1"} if self.wants_rsc_payload else headers
