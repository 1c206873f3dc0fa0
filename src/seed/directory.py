"""Assets that are a folder, for servers that are not Workers and for the commands."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from cache.body import BytesBody
from seed.errors import AssetsError

if TYPE_CHECKING:
    from pathlib import Path

    from cache.body import Buffer


class DirectoryAssets:
    """The files below a folder, by the URL paths under which they would be deployed."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)

    async def get(self, path: str) -> Buffer | None:
        segments = unquote(path).strip("/").split("/")
        if any(part in {"", ".", ".."} or "\0" in part for part in segments):
            return None
        try:
            return BytesBody(_read("/".join((self._folder, *segments))))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            raise AssetsError(f"{path} cannot be read ({error.strerror})") from error


def _read(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123 - making a Path takes as long as reading the file
        return file.read()
