"""Visitors' requests."""

from __future__ import annotations

from pages.request import PageRequest

ORIGIN = "https://example.com"


class RequestHeaders:
    """Headers by name, whatever the case."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = {name.lower(): text for name, text in headers.items()}

    def get(self, name: str) -> str | None:
        return self._headers.get(name.lower())


def request(url: str, headers: dict[str, str] | None = None, method: str = "GET", origin: str = ORIGIN) -> PageRequest:
    """A request for a path with an optional query."""
    path, _, query = url.partition("?")
    return PageRequest(method, origin, path, query, RequestHeaders(headers or {}))
