from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seed.build import ARTIFACTS_FOLDER, MANIFEST_NAME
from vinext_worker.errors import UserError
from vinext_worker.project import names_vinext
from vinext_worker.sites.files import locked
from vinext_worker.sites.npm_build import install_npm_packages, run_npm_build
from vinext_worker.sites.package_manager import package_manager
from vinext_worker.sites.python_project import PythonProject
from vinext_worker.sites.releases import release_in, require_release
from vinext_worker.sites.vinext_project import ADAPTER, VinextProject

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from vinext_worker.cloudflare.wrangler_config import WranglerConfig
    from vinext_worker.sites.npm_build import NodeToolchain

NO_VINEXT = "none"


@dataclass(frozen=True)
class SiteBuild:
    """The output of a site's build, as vinext and Cloudflare's Vite plugin lay it out. A Python site has the same layout."""

    root: Path
    """The folder of the site."""
    vinext_version: str
    """NO_VINEXT for a Python site."""
    server_config: Path
    """The wrangler.json of the built Worker. Its `main` and `assets.directory` are relative to its folder."""
    client_directory: Path
    """The static files."""
    manifest: Path
    """vinext-prerender.json, which lists the pre-rendered routes."""
    artifacts_directory: Path
    """The folder prerendered-routes, which holds their artifacts."""


def build_vinext_site(folder: Path, toolchain: NodeToolchain, console: Console) -> SiteBuild:
    """Install and build the vinext app in a folder if that is needed, and return its build.

    Does nothing, and is quick, if nothing has changed. Processes that build the same site wait for each other. Raises UserError
    if the folder holds no vinext app, if npm or the build fails (after printing its last lines), and if the build has no
    pre-rendered pages or no Worker.
    """
    project = VinextProject.read(folder.resolve())
    with locked(project.root):
        install_npm_packages(project, toolchain.node, console)
        _require_our_adapter(project)
        run_npm_build(project, toolchain.node, console)
        return _vinext_build(project)


def _require_our_adapter(project: VinextProject) -> None:
    """Raise ConfigurationError if the adapter that is installed is of a release that these commands are not for."""
    asked = project.dependencies.get(ADAPTER, "")
    installed = project.installed_version(ADAPTER)
    if installed is not None and release_in(asked) not in {None, installed}:
        cure = f"run `{package_manager(project.root)} install` in {project.root}, which installs {release_in(asked)}"
    else:
        cure = f"run `vinext-worker init` in {project.root} again"
    require_release(ADAPTER, installed, project.root / "node_modules", cure)


def find_site(config: WranglerConfig, given: Path | None) -> Path:
    """Return the folder of the site that a Worker serves: `given`, else the Worker's own, else the vinext app around it.

    Raises UserError if there is none.
    """
    if given is not None:
        return given.resolve()
    if PythonProject.find(config.folder, config) is not None:
        return config.folder
    app = next((folder for folder in (config.folder, *config.folder.parents) if names_vinext(folder)), None)
    if app is None:
        raise UserError(
            f"{config.path} is for a Worker in front of an app, and no vinext app is in {config.folder} or above it; "
            "name the folder of the app"
        )
    return app


def find_build(folder: Path, chosen: WranglerConfig | None = None) -> SiteBuild:
    """Return the build of the vinext app or Python site in a folder, whose configuration may be chosen; raise UserError."""
    python_project = PythonProject.find(folder.resolve(), chosen)
    if python_project is not None:
        return python_build(python_project)
    project = VinextProject.read(folder.resolve())
    if not (project.root / "dist").is_dir():
        raise UserError(f"{project.root} is not built; build it first, for example with `npm run build`")
    return _vinext_build(project)


def python_build(project: PythonProject) -> SiteBuild:
    """Return the build of a Python site; raise UserError if the site has not been pre-rendered."""
    root = project.root
    manifest = project.build_directory / MANIFEST_NAME
    if not manifest.is_file():
        raise UserError(f"{root} has no {manifest.relative_to(root)}; run `vinext-worker prerender {root}` first")
    return SiteBuild(root, NO_VINEXT, project.config.path, project.static_files, manifest, manifest.parent / ARTIFACTS_FOLDER)


def _vinext_build(project: VinextProject) -> SiteBuild:
    root = project.root
    version = project.installed_version() or "unknown"
    config = _server_config(root)
    manifest = root / "dist" / "server" / MANIFEST_NAME
    if not manifest.is_file():
        if version.startswith("0."):
            cure = 'let the "build" script of package.json run `vinext build --prerender-all`'
        else:
            cure = 'switch pre-rendering on in the Vite configuration: vinext({ prerender: { routes: "*" } })'
        raise UserError(f"the build of {root} has no {manifest.relative_to(root)}, so no page was pre-rendered; {cure}")
    assets = _read_config(config).get("assets")
    directory = assets.get("directory") if isinstance(assets, dict) else None
    client = (config.parent / directory).resolve() if isinstance(directory, str) else root / "dist" / "client"
    return SiteBuild(root, version, config, client, manifest, manifest.parent / ARTIFACTS_FOLDER)


def _server_config(root: Path) -> Path:
    """Return the configuration that Cloudflare's Vite plugin made. The plugin notes its path for wrangler in .wrangler/deploy."""
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
