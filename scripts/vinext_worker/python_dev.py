"""A Python site, made ready to be served locally."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from vinext_worker.copying import copy_build
from vinext_worker.errors import ConfigurationError
from vinext_worker.output import Output
from vinext_worker.prerender_command import run_prerender, show_prerender
from vinext_worker.python_packages import install_packages, worker_names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console

    from vinext_worker.python_site import PythonSite
    from vinext_worker.toolchain import Project


def prepare_python_site(site: PythonSite, project: Project, console: Console) -> None:
    """Install, pre-render where the sources have changed since, and copy; raises UserError.

    A page that fails is shown and left to be made when it is asked for.
    """
    if site.config.assets is None:
        raise ConfigurationError(
            f"{site.config.path} has no [assets], so pages cannot be copied anywhere; add it with a directory"
        )
    site.require_own_names(worker_names(project))
    install_packages(site, project, console)
    stamp = site.build_directory.parent / ".vinext-worker-build"
    sources = _fingerprint(site)
    if not (stamp.is_file() and stamp.read_text() == sources):
        output = Output(console=console)
        show_prerender(run_prerender(site, project, output, may_be_empty=True), output)
        stamp.write_text(sources)
    copy_build(site.built(), site.config.assets.directory)


def _fingerprint(site: PythonSite) -> str:
    """A digest over what the pages are made of: the site's code and settings, and the packages."""
    digest = hashlib.sha256(site.config.path.read_bytes())
    for path in sorted((*_code(site.sources), *_code(site.packages))):
        status = path.stat()
        digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _code(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.suffix != ".pyc" and path.is_file())
