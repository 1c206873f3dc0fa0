from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from vinext_worker.built_site import BuiltSite
from vinext_worker.errors import UserError
from vinext_worker.python_site import PythonSite
from vinext_worker.site_build import build, install
from vinext_worker.site_project import SiteProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console


__all__ = ["BuiltSite", "NodeToolchain", "built_site", "prepare"]


class NodeToolchain(Protocol):
    """What building a site needs of the project's tools."""

    @property
    def node(self) -> Path:
        """A Node.js of version 22 or newer."""


def prepare(site_dir: Path, project: NodeToolchain, console: Console) -> BuiltSite:
    """Install and build the vinext app in `site_dir` where that is needed, and return its build.

    Does nothing, and is quick, where nothing has changed. Processes that prepare the same site wait for each other. Raises
    UserError where the folder is no vinext app, where npm or the build fails (whose last lines are then printed), and where
    the build has no pre-rendered pages or no Worker.
    """
    site = SiteProject.read(site_dir.resolve())
    with _alone_in(site.root):
        install(site, project.node, console)
        build(site, project.node, console)
        return _built(site)


def built_site(site_dir: Path) -> BuiltSite:
    """Return the build of the vinext app or Python site in `site_dir`; raises UserError where it is neither, or not built."""
    python_site = PythonSite.find(site_dir.resolve())
    if python_site is not None:
        return python_site.built()
    site = SiteProject.read(site_dir.resolve())
    if not (site.root / "dist").is_dir():
        raise UserError(f"{site.root} is not built; build it first, such as with `npm run build`")
    return _built(site)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold a lock on the folder itself, so that no lock file is left behind."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _built(site: SiteProject) -> BuiltSite:
    version = site.installed_version() or "unknown"
    config = _server_config(site.root)
    manifest = site.root / "dist" / "server" / "vinext-prerender.json"
    if not manifest.is_file():
        if version.startswith("0."):
            cure = 'let the "build" script of package.json run `vinext build --prerender-all`'
        else:
            cure = 'switch pre-rendering on in the Vite configuration: vinext({ prerender: { routes: "*" } })'
        raise UserError(f"the build of {site.root} has no {manifest.relative_to(site.root)}, so no page was pre-rendered; {cure}")
    assets = _read_config(config).get("assets")
    directory = assets.get("directory") if isinstance(assets, dict) else None
    client = (config.parent / directory).resolve() if isinstance(directory, str) else site.root / "dist" / "client"
    return BuiltSite(site.root, version, config, client, manifest, manifest.parent / "prerendered-routes")


def _server_config(root: Path) -> Path:
    """Return where Cloudflare's Vite plugin put the configuration it made: it notes that for wrangler in .wrangler/deploy."""
    note = root / ".wrangler" / "deploy" / "config.json"
    config = root / "dist" / "server" / "wrangler.json"
    if note.is_file():
        named = _read_config(note).get("configPath")
        if isinstance(named, str):
            config = (note.parent / named).resolve()
    if not config.is_file():
        raise UserError(
            f"the build of {root} has no Worker (no {config.relative_to(root) if config.is_relative_to(root) else config}); "
            "add cloudflare() from @cloudflare/vite-plugin to the Vite configuration, with a wrangler.jsonc beside it"
        )
    return config


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); delete {path.parent} and run this again") from error
    if not isinstance(config, dict):
        raise UserError(f"{path} is no JSON object; delete {path.parent} and run this again")
    return config
