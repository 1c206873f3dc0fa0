"""A page as a Python function gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from cache.errors import InvalidArgumentError
from cache.frozen import frozen
from pages.periods import require_periods, require_valid_tags

if TYPE_CHECKING:
    from pages.periods import Revalidate

_STATUSES = range(200, 600)


@frozen
class Page:
    """A whole answer, and how long it is kept; periods are seconds.

    `revalidate` None leaves the period to `@revalidate`, and without that the page is made for each request; False is
    a page that is never stale, 0 one that is not kept. `expire` ends a stale page so long after it was made. A text is
    sent as UTF-8 HTML unless the headers say otherwise. Raises InvalidArgumentError naming the field that is wrong.
    """

    body: str | bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    revalidate: Revalidate = None
    expire: float | None = None
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # Types are promises that authors of handlers need not keep.
        body: object = self.body
        status: object = self.status
        headers: object = self.headers
        if not isinstance(body, str | bytes):
            raise InvalidArgumentError("Page.body", body, "str or bytes")
        if isinstance(status, bool) or not isinstance(status, int) or status not in _STATUSES:
            raise InvalidArgumentError("Page.status", status, "a status from 200 to 599")
        if not isinstance(headers, Mapping) or not all(isinstance(text, str) for item in headers.items() for text in item):
            raise InvalidArgumentError("Page.headers", headers, "strings by name")
        require_periods("Page", self.revalidate, self.expire)
        object.__setattr__(self, "tags", require_valid_tags("Page", self.tags))
