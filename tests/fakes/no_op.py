"""A cache handler that keeps nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cache.entry import CacheEntry, CacheValue
    from cache.handler import GetContext, SetContext


class NoOpCacheHandler:
    async def get(self, key: str, context: GetContext | None = None) -> CacheEntry | None:
        return None

    async def set(self, key: str, value: CacheValue | None, context: SetContext | None = None) -> None: ...

    async def revalidate_tag(self, tags: Iterable[str] | str, *, expire_seconds: float | None = None) -> None: ...

    async def revalidate_by_path_prefix(self, prefix: str) -> None: ...

    async def is_invalidated(self, tags: Iterable[str], since_ms: int) -> bool:
        return False

    def reset_request_cache(self) -> None: ...
