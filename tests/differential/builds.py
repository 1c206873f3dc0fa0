"""An app built twice: with the adapter, and without it as vinext does by default."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from vinext_worker.errors import UserError
from vinext_worker.sites.files import locked, remove_others, write_atomically
from vinext_worker.sites.npm_build import install_npm_packages
from vinext_worker.sites.site_build import build_vinext_site
from vinext_worker.sites.vinext_project import VinextProject

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vinext_worker.project import Project
    from vinext_worker.sites.site_build import SiteBuild

APPS = Path(__file__).with_name("apps")
SCRIPT = "requests.py"
_ELSEWHERE = {"example": Path("examples") / "vinext"}
"""Apps whose sources are elsewhere in the project."""
_NOT_SOURCES = frozenset(
    {"node_modules", "dist", ".wrangler", "__pycache__", SCRIPT, "package-lock.json", "vite.config.ts", "README.md", ".npmrc"}
)
_KEPT = ("node_modules", "dist", ".wrangler", "public/.gitkeep")

_VITE = """\
import { cloudflare } from "@cloudflare/vite-plugin";
import vinext from "vinext";
%(imports)simport { defineConfig } from "vite";

export default defineConfig({%(environments)s
  plugins: [
    vinext({ %(options)sprerender: { routes: "*" } }),
    cloudflare({ viteEnvironment: %(environment)s }),
  ],
  resolve: { dedupe: ["vinext"] },
});
"""
_IMPORT = 'import { vinextWorkerCache } from "vinext-worker-adapter";\n'
_CACHE = "cache: { cdn: vinextWorkerCache() }, "
_APP_ROUTER = {"environments": "", "environment": '{ name: "rsc", childEnvironments: ["ssr"] }'}
_PAGES_ROUTER = {
    # vinext pre-renders an app without the App Router where it finds its Worker in these folders.
    "environments": """
  environments: { client: { build: { outDir: "dist/client" } }, ssr: { build: { outDir: "dist/server" } } },""",
    "environment": '{ name: "ssr" }',
}
_INLINE = "inline.config.mjs"
"""Its configuration stands in the Vite configuration, if an app has this file."""
_ENTRY = "worker/index.js"
"""The app's own Worker entry, if it has one."""
_WRAPPED = "worker/wrapped.js"
_WRAP = b"""\
import { withVinextWorker } from "vinext-worker-adapter/worker";

import worker from "./index.js";

export default withVinextWorker(worker);
"""


@dataclass(frozen=True)
class BuiltTwice:
    """An app's two builds."""

    alone: SiteBuild
    behind_us: SiteBuild


def build_twice(project: Project, app: str) -> BuiltTwice:
    """Build an app both ways, unless that was done; the packages are those of the example. Raises UserError."""
    example = project.root / "examples" / "vinext"
    output = StringIO()
    console = Console(file=output)
    try:
        with locked(example):
            install_npm_packages(VinextProject.read(example), project.tools.node, console)
        return BuiltTwice(
            *(
                build_vinext_site(
                    _written(project, app, example / "node_modules", with_adapter=with_adapter), project.tools, console
                )
                for with_adapter in (False, True)
            )
        )
    except UserError as error:
        raise UserError(f"{error}\n{output.getvalue()}") from error


def _written(project: Project, app: str, packages: Path, *, with_adapter: bool) -> Path:
    """Write the app's sources and its configuration to a folder that git ignores; what is there already keeps its time."""
    folder = project.local / "differential" / f"{app}-{'behind-us' if with_adapter else 'alone'}"
    sources = project.root / _ELSEWHERE[app] if app in _ELSEWHERE else APPS / app
    own = _sources(sources)
    files = own | _configuration(project, app, with_adapter=with_adapter, own=own)
    for name, content in files.items():
        write_atomically(folder / name, content)
    remove_others(folder, lambda name: name in files or name.partition("/")[0] in _KEPT)
    link = folder / "node_modules"
    if not link.is_symlink():
        link.symlink_to(os.path.relpath(packages, folder))
    return folder


def _sources(folder: Path) -> dict[str, bytes]:
    """The files of an app by their names, without what an installation and a build have left there."""
    files: dict[str, bytes] = {}
    for item in sorted(folder.iterdir()):
        if item.name in _NOT_SOURCES:
            continue
        if item.is_dir():
            files |= {f"{item.name}/{name}": content for name, content in _sources(item).items()}
        else:
            files[item.name] = item.read_bytes()
    return files


def _configuration(project: Project, app: str, *, with_adapter: bool, own: Iterable[str]) -> dict[str, bytes]:
    adapter = {"vinext-worker-adapter": f"file:{project.root / 'adapters' / 'vinext'}"} if with_adapter else {}
    package = {
        "name": app.replace("_", "-"),
        "private": True,
        "type": "module",
        "scripts": {"build": "vite build"},
        "dependencies": {"vinext": "1.4.0", **adapter},
    }
    entries = (_ENTRY, _WRAPPED) if _ENTRY in own else ("vinext/server/fetch-handler", "vinext-worker-adapter/worker")
    wrangler = {
        "name": "vinext-pages",
        "main": entries[with_adapter],
        "compatibility_date": "2026-07-28",
        "compatibility_flags": ["nodejs_compat"],
        # What `vinext init` writes.
        "assets": {
            "directory": "dist/client",
            "binding": "ASSETS",
            "html_handling": "none",
            "not_found_handling": "none",
            "run_worker_first": ["/*", "!/_next/static/*", "!/*/_next/static/*"],
        },
    }
    imports, options = (_IMPORT, _CACHE) if with_adapter else ("", "")
    if _INLINE in own:
        imports, options = f'{imports}import nextConfig from "./{_INLINE}";\n', f"{options}nextConfig, "
    has_app = any(name.startswith(("app/", "src/app/")) for name in own)
    vite = _VITE % {"imports": imports, "options": options, **(_APP_ROUTER if has_app else _PAGES_ROUTER)}
    wrapped = {_WRAPPED: _WRAP} if with_adapter and _ENTRY in own else {}
    return {
        **wrapped,
        "package.json": json.dumps(package, indent=1).encode(),
        "wrangler.jsonc": json.dumps(wrangler, indent=1).encode(),
        "vite.config.js": vite.encode(),
    }
