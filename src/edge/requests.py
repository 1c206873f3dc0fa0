"""The runtime's `Request`, as a page request."""

from __future__ import annotations

from typing import Any

from pages.request import PageRequest


class RequestHeaders:
    """Looks headers up one by one: few of them are wanted."""

    __slots__ = ("_headers",)

    def __init__(self, headers: Any) -> None:
        self._headers = headers

    def get(self, name: str) -> str | None:
        value = self._headers.get(name)
        return value if isinstance(value, str) else None


def page_request(raw: Any) -> PageRequest:
    """Describe a request. Its URL is already as the URL standard normalizes it."""
    url: str = raw.url
    start = url.index("/", url.index("//") + 2)
    path, _, query = url[start:].partition("?")
    return PageRequest(
        method=raw.method,
        origin=url[:start],
        path=path,
        query=query.partition("#")[0],
        headers=RequestHeaders(raw.headers),
        raw=raw,
    )
