"""Whether a site has changed since its last build: a digest over its sources."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from vinext_worker.sites.python_project import PythonProject
    from vinext_worker.sites.vinext_project import VinextProject

_NO_SOURCES = frozenset({"node_modules", "next-env.d.ts"})


def vinext_fingerprint(project: VinextProject) -> str:
    """Return a digest over the name, size and modification time of every source file, and over the build command.

    It also covers the environment that the app is built for. It leaves out node_modules (the lock file stands for it), the
    output, and folders whose names begin with a dot, because tools keep their state there. `.env` files count.
    """
    # The Vite plugin of Cloudflare builds for one environment of the app's wrangler configuration.
    command = "\0".join((*project.build_command(), os.environ.get("CLOUDFLARE_ENV", "")))
    output = str(project.root / "dist")
    folders = (project.root, *project.linked_folders)
    return _digest(command.encode(), (file for folder in folders for file in sorted(_vinext_files(folder, output))))


def python_fingerprint(project: PythonProject) -> str:
    """Return a digest over everything that pages are rendered from: the site's settings, its code and its packages."""
    folders = (project.sources, project.packages)
    return _digest(project.config.path.read_bytes(), sorted(file for folder in folders for file in _python_files(folder)))


def _digest(start: bytes, files: Iterable[tuple[str, os.stat_result]]) -> str:
    digest = hashlib.sha256(start)
    for path, status in files:
        digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _vinext_files(folder: Path | str, output: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as items:
        for item in items:
            if item.name in _NO_SOURCES or item.path == output:
                continue
            if item.is_dir(follow_symlinks=False):
                if not item.name.startswith("."):
                    yield from _vinext_files(item.path, output)
            elif item.is_file():  # a link to a folder is not followed, a broken one is no file
                yield item.path, item.stat()


def _python_files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    return ((str(path), path.stat()) for path in folder.rglob("*") if path.suffix != ".pyc" and path.is_file())
