"""The cache handler for whoever wants none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cache.entry import CacheEntry
    from cache.handler import GetContext, SetContext
    from cache.values import CacheValue


class NoOpCacheHandler:
    """Keeps nothing."""

    async def get(self, key: str, context: GetContext | None = None) -> CacheEntry | None:  # noqa: ARG002 - nothing is kept
        """Read an entry; see CacheHandler."""
        return None

    async def set(self, key: str, value: CacheValue | None, context: SetContext | None = None) -> None:
        """Write an entry; see CacheHandler."""

    async def revalidate_tag(self, tags: Iterable[str] | str, *, expire_seconds: float | None = None) -> None:
        """Invalidate by tags; see CacheHandler."""

    async def revalidate_by_path_prefix(self, prefix: str) -> None:
        """Invalidate a page and those below it; see CacheHandler."""

    async def is_invalidated(self, tags: Iterable[str], since_ms: int) -> bool:  # noqa: ARG002 - likewise
        """Tell whether a tag was invalidated; see CacheHandler."""
        return False

    def reset_request_cache(self) -> None:
        """Forget what was remembered; see CacheHandler."""
