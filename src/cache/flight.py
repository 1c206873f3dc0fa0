"""The protocol of work that is done once at a time, whichever requests want it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


class Claim(Protocol):
    """The right, and the duty, to do a piece of work."""

    def release(self) -> None:
        """Say that the work is done, whatever came of it. Twice is as good as once."""


class SingleFlight(Protocol):
    """One run at a time of the same work, across all requests of an isolate."""

    def claim(self, key: str) -> Claim | None:
        """Take on the work under `key`; None where somebody is at it already."""

    async def wait(self, key: str) -> None:
        """Until whoever is at the work under `key` has released it, or has taken too long."""

    async def run(self, key: str, work: Callable[[], Awaitable[T]]) -> T:
        """The result of `work`, or of the run under `key` that is under way.

        Where that run fails or takes too long, the caller does the work itself.
        """
