"""An answer whose body is all there."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from cache.body import EMPTY_BODY
from cache.frozen import frozen

if TYPE_CHECKING:
    from cache.body import Body
    from pages.policy import HeaderItems


@frozen
class WholeResponse:
    """A PageResponse in memory; `body` None where the status allows none."""

    status: int
    headers: HeaderItems
    body: Body | None
    payload: Body | None = None

    def header(self, name: str) -> str | None:
        return self._values.get(name.lower())

    def header_items(self) -> tuple[tuple[str, str], ...]:
        return tuple(self._values.items())

    @cached_property
    def _values(self) -> dict[str, str]:
        """By the name in lower case, all values of a header, joined as HTTP joins them (RFC 9110, 5.2)."""
        values: dict[str, list[str]] = {}
        for name, value in self.headers:
            values.setdefault(name.lower(), []).append(value)
        return {name: ", ".join(several) for name, several in values.items()}

    def split(self) -> tuple[WholeResponse, WholeCopy]:
        return self, WholeCopy(self.body)

    def copy(self) -> WholeCopy:
        return WholeCopy(self.body)

    async def drop(self) -> None:
        """Nothing is on its way."""


@frozen
class WholeCopy:
    """The body of a WholeResponse (the protocol BodyCopy)."""

    body: Body | None

    async def read(self, limit_bytes: int) -> Body | None:
        body = self.body or EMPTY_BODY
        return None if body.size_bytes > limit_bytes else body
