"""Visitors' requests."""

from __future__ import annotations

from pages.request import GivenHeaders, PageRequest

ORIGIN = "https://example.com"


def request(url: str, headers: dict[str, str] | None = None, method: str = "GET", origin: str = ORIGIN) -> PageRequest:
    """A request for a path with an optional query."""
    path, _, query = url.partition("?")
    return PageRequest(method, origin, path, query, GivenHeaders(headers or {}))
