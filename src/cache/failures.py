"""Failures on which nobody's answer depends, for whoever asks what has failed meanwhile."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from core.context import holding

if TYPE_CHECKING:
    from collections.abc import Iterator


class Failures:
    """One kind of failure."""

    def __init__(self, name: str) -> None:
        self._noted: ContextVar[list[str] | None] = ContextVar(name, default=None)

    @contextmanager
    def noted(self) -> Iterator[list[str]]:
        """Collect the reasons of what fails meanwhile."""
        reasons: list[str] = []
        with holding(self._noted, reasons):
            yield reasons

    def note(self, reason: str) -> None:
        """Say why something has failed."""
        reasons = self._noted.get()
        if reasons is not None:
            reasons.append(reason)


LOST_WRITES = Failures("lost writes")
"""Entries that a store did not take: whoever keeps a page up to date is told."""

FAILED_PURGES = Failures("failed purges")
"""Tags that the cache in front of the Worker did not purge: whoever invalidated them is told."""
