"""Deployed files, in memory or in a folder, that are counted as they are fetched and that fail on command."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

from core.body import BytesBody
from seed.build import AssetsError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class FakeAssets:
    """`files` by path, as they are on disk; a URL path is decoded once, as the assets of a Worker do it."""

    files: dict[str, bytes] = field(default_factory=dict)
    folder: Path | None = None
    failure: str | None = None
    fetched: Counter[str] = field(default_factory=Counter)

    async def get(self, path: str) -> BytesBody | None:
        self.fetched[path] += 1
        # Other requests run in the meantime, as they do while a real one waits.
        await asyncio.sleep(0)
        if self.failure is not None:
            raise AssetsError(self.failure)
        name = unquote(path)
        if self.folder is not None:
            file = self.folder / name.lstrip("/")
            return BytesBody(file.read_bytes()) if file.is_file() else None
        content = self.files.get(name)
        return None if content is None else BytesBody(content)

    def count(self, part: str) -> int:
        """How many fetches there were of paths with `part` in them."""
        return sum(times for path, times in self.fetched.items() if part in path)
