"""What is learnt while one answer is made: how long it may be kept, and under which tags."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from cache.tags import merge_tags

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_current: ContextVar[Rendering | None] = ContextVar("rendering", default=None)


class Rendering:
    """Collects from handlers, decorators and cached data, however deep they are called.

    `revalidate_seconds` and `expire_seconds` are what a handler asked for its page: None is nothing, and infinity in
    the first is never stale. `longest_seconds` is the shortest period of the data used. `path` is the page's, percent-encoded;
    `is_for_cache` tells that no visitor waits for it.
    """

    def __init__(self, path: str | None = None, *, is_for_cache: bool = False) -> None:
        self.path = path
        self.is_for_cache = is_for_cache
        self.is_no_store = False
        self.tags: tuple[str, ...] = ()
        self.revalidate_seconds: float | None = None
        self.expire_seconds: float | None = None
        self.longest_seconds: float | None = None

    @property
    def effective_seconds(self) -> float | None:
        """The page's period: no longer than that of any data on it; None where nobody asked for one."""
        if self.revalidate_seconds is None or self.longest_seconds is None:
            return self.revalidate_seconds
        return min(self.revalidate_seconds, self.longest_seconds)

    def add_tags(self, tags: Iterable[str]) -> None:
        self.tags = merge_tags(self.tags, tags)

    def ask(self, revalidate_seconds: float | None, expire_seconds: float | None) -> None:
        """Ask for a period; the shortest of several holds."""
        self.revalidate_seconds = _shortest(self.revalidate_seconds, revalidate_seconds)
        self.expire_seconds = _shortest(self.expire_seconds, expire_seconds)

    def limit(self, seconds: float | None) -> None:
        """Data that lives so long was used; None is data that is never stale."""
        self.longest_seconds = _shortest(self.longest_seconds, seconds)

    def policy(self) -> tuple[object, ...]:
        """What the answer's headers say; a later value that differs came too late for them."""
        return (self.is_no_store, frozenset(self.tags), self.effective_seconds, self.expire_seconds)


def current_rendering() -> Rendering | None:
    """The answer being made, None outside of a request."""
    return _current.get()


@contextmanager
def rendering_as(rendering: Rendering | None) -> Iterator[None]:
    """Collect what is learnt in here, and in tasks begun in here, in `rendering`."""
    token = _current.set(rendering)
    try:
        yield
    finally:
        _current.reset(token)


def no_store() -> None:
    """Make the answer that is being made one that no cache keeps. Outside of a request it does nothing."""
    rendering = _current.get()
    if rendering is not None:
        rendering.is_no_store = True


def _shortest(first: float | None, second: float | None) -> float | None:
    if first is None or second is None:
        return second if first is None else first
    return min(first, second)
