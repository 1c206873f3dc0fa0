"""Seeding from a folder, for servers that are not Workers and for the commands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from core.body import BytesBody
from core.paths import PRERENDER_FOLDER, is_file_path
from seed.build import BUILD_FILE, MANIFEST_NAME, AssetsError, ManifestError
from seed.entries import SeedEntry, seed_entries
from seed.output import OutputSource
from seed.sources import open_source

if TYPE_CHECKING:
    import os

    from cache.handler import CacheHandler
    from core.body import Buffer
    from seed.build import Skipped
    from seed.sources import Source

_MAX_SKIPPED = 1000


@dataclass(frozen=True)
class Seeded:
    """The result of seeding; `skipped` are the first of the pages that were left out."""

    build_id: str
    entries: int
    skipped: tuple[Skipped, ...]


async def seed_from_directory(handler: CacheHandler, path: str | os.PathLike[str]) -> Seeded:
    """Put every page of the build in a folder (see `open_directory`) into a cache handler.

    Raises ManifestError where there is no build. A page that was invalidated since the build is left out.
    """
    source = await open_directory(path)
    entries = 0
    skipped: list[Skipped] = []
    async for item in seed_entries(source):
        if isinstance(item, SeedEntry):
            if not await handler.is_invalidated(item.entry.tags, item.entry.last_modified_ms):
                await handler.set(item.key, item.entry.value, item.context)
                entries += 1
        elif len(skipped) < _MAX_SKIPPED:
            skipped.append(item)
    return Seeded(source.build.build_id, entries, tuple(skipped))


async def open_directory(path: str | os.PathLike[str]) -> Source:
    """Open the build in a folder: assets that `vinext-worker copy` filled, or vinext's own `dist/server`.

    Raises ManifestError where there is no build, or one that cannot be read.
    """
    folder = Path(path)
    if folder.name == PRERENDER_FOLDER and (folder / BUILD_FILE).is_file():
        folder = folder.parent
    if (folder / MANIFEST_NAME).is_file():
        return OutputSource(folder)
    source = await open_source(DirectoryAssets(folder))
    if source is None:
        raise ManifestError(
            f"{folder} holds no build; name the assets that `vinext-worker copy` filled, or a build's dist/server"
        )
    return source


class DirectoryAssets:
    """Assets in a folder: its files by the URL paths under which they would be deployed."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)

    async def get(self, path: str) -> Buffer | None:
        name = unquote(path).strip("/")
        if not is_file_path(name):
            return None
        try:
            return BytesBody(_read(f"{self._folder}/{name}"))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            raise AssetsError(f"{path} cannot be read ({error.strerror})") from error


def _read(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123 - making a Path takes as long as reading the file
        return file.read()
