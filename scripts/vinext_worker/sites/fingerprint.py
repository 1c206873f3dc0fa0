"""Whether a site has changed since its last build: a digest over its sources."""

from __future__ import annotations

import hashlib
import os
from itertools import chain
from typing import TYPE_CHECKING

from vinext_worker.sites.files import is_readable
from vinext_worker.sites.package_manager import lock_files
from vinext_worker.sites.vinext_project import FRONT_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from vinext_worker.sites.python_project import PythonProject
    from vinext_worker.sites.vinext_project import VinextProject

_NO_SOURCES = frozenset({"node_modules", "next-env.d.ts"})

# A larger file is told by its time, because reading all of them would take longer than it saves.
_READ_BYTES = 1024 * 1024


def vinext_sources(project: VinextProject) -> dict[str, str]:
    """Return each source file of an app, and what stands for its content.

    Left out are node_modules (the lock file stands for it, a workspace's too), the output, the Worker in front, and folders
    whose names begin with a dot, because tools keep their state there. `.env` files count.
    """
    left_out = frozenset({str(project.root / "dist"), str(project.root / FRONT_FOLDER)})
    folders = (project.root, *project.linked_folders)
    locks = ((str(path), _content(path)) for path in lock_files(project.root))
    return dict(chain(locks, *(_vinext_files(folder, left_out) for folder in folders)))


def vinext_fingerprint(project: VinextProject, sources: Mapping[str, str]) -> str:
    """Return a digest over the source files, over the build command and over the environment that the app is built for."""
    # The Vite plugin of Cloudflare builds for one environment of the app's wrangler configuration.
    command = "\0".join((*project.build_command(), os.environ.get("CLOUDFLARE_ENV", "")))
    return _digest(command.encode(), sorted(sources.items()))


def python_fingerprint(project: PythonProject) -> str:
    """Return a digest over everything that pages are rendered from: the site's settings, its code and its packages."""
    folders, config = (project.sources, project.packages), project.config
    settings = repr((config.environment, sorted(config.variables.items()))).encode()
    files = sorted(file for folder in folders for file in _python_files(folder))
    return _digest(config.path.read_bytes() + settings, files)


def _digest(start: bytes, files: Iterable[tuple[str, str]]) -> str:
    digest = hashlib.sha256(start)
    for path, state in files:
        digest.update(f"{path}\0{state}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _vinext_files(folder: Path | str, left_out: frozenset[str]) -> Iterator[tuple[str, str]]:
    with os.scandir(folder) as items:
        for item in items:
            if item.name in _NO_SOURCES or item.path in left_out:
                continue
            if item.is_dir(follow_symlinks=False):
                # The build runs as the same user.
                if not item.name.startswith(".") and is_readable(item.path):
                    yield from _vinext_files(item.path, left_out)
            elif item.is_file():  # a link to a folder is not followed, a broken one is no file
                yield item.path, _content(item)


def _content(item: os.DirEntry[str] | Path) -> str:
    status = item.stat()
    if status.st_size > _READ_BYTES:
        return _time(status)
    with open(item, "rb") as file:  # noqa: PTH123 - this avoids a Path for each of many files
        return hashlib.sha256(file.read()).hexdigest()


def _time(status: os.stat_result) -> str:
    return f"{status.st_size} {status.st_mtime_ns}"


def _python_files(folder: Path) -> Iterator[tuple[str, str]]:
    return ((str(path), _time(path.stat())) for path in folder.rglob("*") if path.suffix != ".pyc" and path.is_file())
