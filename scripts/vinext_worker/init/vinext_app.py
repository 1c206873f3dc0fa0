"""The plan for a vinext app: the adapter in its build, and a Worker with the cache in front of it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from vinext_worker.errors import UserError
from vinext_worker.init.artifacts import VENDOR
from vinext_worker.init.configuration import (
    complete_configuration,
    folder_name,
    lower_unknown_date,
    new_configuration,
    worker_name,
)
from vinext_worker.init.entry_text import FRONT
from vinext_worker.init.found import read_package
from vinext_worker.init.ignored import ignore, keep
from vinext_worker.init.pyproject import put_vendored, require_library
from vinext_worker.init.scripts import add_scripts
from vinext_worker.init.wrangler_file import NAMES, WranglerFile, find_wrangler_file
from vinext_worker.sites.vinext_project import ADAPTER, FRONT_FOLDER, VinextProject

if TYPE_CHECKING:
    from pathlib import Path

    from vinext_worker.init.plan import Plan
    from vinext_worker.init.setting_up import Setting

_WORKER_FIRST = ("/*", "!/_next/static/*")
_GENERATED = (
    "node_modules/",
    "dist/",
    ".next/",
    "next-env.d.ts",
    ".vinext/",
    ".wrangler/",
    ".venv-workers/",
    "python_modules/",
    ".dev.vars*",
    "!.dev.vars.example",
)
_ENTRY = f"{ADAPTER}/worker"
_VINEXTS_ENTRIES = frozenset(
    {"", "vinext/server/fetch-handler", "vinext/server/app-router-entry", "vinext/server/pages-router-entry"}
)
_PLUGIN = "@cloudflare/vite-plugin"
_VERSIONS = {"vite": "^8.3.0", "@vitejs/plugin-react": "^6.1.0", _PLUGIN: "^1.64.0", "wrangler": "^4.151.0"}
_APP_ROUTER_VERSIONS = {"@vitejs/plugin-rsc": "^0.5.38"}
_DEPLOY_OF_BETA = "vinext-cloudflare deploy"
_NODEJS_DATE = "2026-08-04"
"""From this compatibility date on, Node.js's modules are there without a flag."""
_TYPED = "cloudflare.config.ts"
_NOTHING_YET = """\
import vinext from "vinext";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [vinext()],
});
"""
_EXTENSIONS = ("ts", "mts", "js", "mjs", "cts", "cjs")


def plan_vinext_app(plan: Plan, folder: Path, setting: Setting) -> None:
    """Make the plan. Raises UserError for a vinext that the adapter is not for."""
    _require_new_vinext(folder)
    _edit_vite_config(plan, folder, setting)
    name = _edit_app_configuration(plan, folder, setting)
    _edit_package(plan, folder, setting)
    _put_in_front(plan, folder, name, setting)
    ignore(plan, folder, _GENERATED)
    vendor = folder / FRONT_FOLDER / VENDOR
    keep(plan, folder, [vendor / setting.artifacts.adapter.name, vendor / setting.artifacts.library.name])


def has_adapter(folder: Path) -> bool:
    """Return whether the adapter is installed where Node.js looks for it."""
    return any((place / "node_modules" / ADAPTER).is_dir() for place in (folder, *folder.parents))


def _require_new_vinext(folder: Path) -> None:
    installed = VinextProject.read(folder).installed_version()
    package = read_package(folder)
    asked = str({**package.get("devDependencies", {}), **package.get("dependencies", {})}["vinext"])
    version = installed or asked.lstrip("^~>=v ")
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is not None and (int(numbers[1]), int(numbers[2])) < (1, 4):
        raise UserError(
            f"{folder} has vinext {version}, and the adapter is for 1.4 and newer; update it (npm install vinext@latest), and "
            "run this again. How an older one shares its cache is in docs/with-vinexts-own-cache.md"
        )


def _edit_vite_config(plan: Plan, folder: Path, setting: Setting) -> None:
    path = next((path for end in _EXTENSIONS if (path := folder / f"vite.config.{end}").is_file()), None)
    if path is None:
        path = folder / "vite.config.ts"
        plan.write(path, _NOTHING_YET)
    setting.editor.edit(plan, path, "vite", router="app" if _has_app_router(folder) else "pages")


def _has_app_router(folder: Path) -> bool:
    return any((folder / name).is_dir() for name in ("app", "src/app"))


def _edit_app_configuration(plan: Plan, folder: Path, setting: Setting) -> str:
    """Let the app's Worker begin with the adapter's entry; return the Worker's name."""
    path = find_wrangler_file(folder)
    typed = folder / _TYPED
    if path is None and typed.is_file():
        return _move_typed(plan, folder, setting)
    if path is None:
        path = folder / "wrangler.jsonc"
        name = worker_name(str(read_package(folder).get("name") or folder.name))
        plan.write(path, _new_app_configuration(name, setting.newest_date))
    file = WranglerFile.read(plan, path)
    _edit_entry(plan, folder, file, setting)
    return _finish_app_configuration(plan, file, folder, setting)


def _move_typed(plan: Plan, folder: Path, setting: Setting) -> str:
    """Move what `vinext init` writes into cloudflare.config.ts to a wrangler.jsonc, which wrangler and this project deploy by."""
    typed = folder / _TYPED
    answer = setting.editor.edit(plan, typed, "cloudflare-config")
    if answer is None:
        plan.notes.append(
            f"{_TYPED} is for the beta of Cloudflare's Vite plugin, while vinext-worker deploys with wrangler; write a "
            "wrangler.jsonc with the same settings, remove it, and run this again"
        )
        return folder_name(folder)
    path = folder / "wrangler.jsonc"
    schema = {"$schema": "node_modules/wrangler/config-schema.json"}
    plan.write(path, json.dumps({**schema, **answer["config"]}, indent=2) + "\n")
    plan.remove(typed)
    plan.notes.append(
        f"{_TYPED} is for the beta of Cloudflare's Vite plugin, while vinext-worker deploys with wrangler: its settings move to "
        "wrangler.jsonc, and the plugin's version 1 reads them there"
    )
    file = WranglerFile.read(plan, path)
    _edit_entry(plan, folder, file, setting)
    return _finish_app_configuration(plan, file, folder, setting)


def _edit_entry(plan: Plan, folder: Path, file: WranglerFile, setting: Setting) -> None:
    main = str(file.values.get("main") or "")
    if main == _ENTRY:
        return
    if main in _VINEXTS_ENTRIES:
        file.set(("main",), _ENTRY)
        return
    entry = folder / main
    if entry.is_file():
        setting.editor.edit(plan, entry, "worker-entry")
    else:
        plan.problem(
            file.path, f"main names {main}, which does not exist; name {_ENTRY}, or the app's own entry", file.line_of('main"')
        )


def _finish_app_configuration(plan: Plan, file: WranglerFile, folder: Path, setting: Setting) -> str:
    values = file.values
    name = str(values.get("name") or worker_name(str(read_package(folder).get("name") or folder.name)))
    file.set(("name",), name)
    if not values.get("compatibility_date"):
        file.set(("compatibility_date",), setting.newest_date)
    if str(values["compatibility_date"]) < _NODEJS_DATE:
        file.require_flag("nodejs_compat")
    for switch in ("workers_dev", "preview_urls"):
        # Only vinext-worker calls this Worker, through its service binding.
        if switch not in values:
            file.set((switch,), value=False)
    assets = values.get("assets")
    if not isinstance(assets, dict):
        file.set(("assets",), _ASSETS)
    else:
        for key in ("directory", "binding"):
            if key not in assets:
                file.set(("assets", key), _ASSETS[key])
    lower_unknown_date(plan, file, setting.newest_date)
    if values.get("routes") or values.get("route"):
        plan.notes.append(
            f"{file.path.name}: its routes lead to the app's Worker, where nothing is cached; move them to "
            f"{FRONT_FOLDER}/wrangler.toml before you deploy"
        )
    file.write(plan, setting.editor)
    return name


_ASSETS: dict[str, object] = {
    "directory": "dist/client",
    "binding": "ASSETS",
    "html_handling": "none",
    "not_found_handling": "none",
    "run_worker_first": ["/*", "!/_next/static/*"],
}


def _new_app_configuration(name: str, date: str) -> str:
    values = {
        "$schema": "node_modules/wrangler/config-schema.json",
        "name": name,
        "main": _ENTRY,
        "compatibility_date": date,
        "workers_dev": False,
        "preview_urls": False,
        "assets": _ASSETS,
        "observability": {"enabled": True},
    }
    return json.dumps(values, indent=2) + "\n"


def _edit_package(plan: Plan, folder: Path, setting: Setting) -> None:
    path = folder / "package.json"
    package = read_package(folder)
    tarball = f"file:{FRONT_FOLDER}/{VENDOR}/{setting.artifacts.adapter.name}"
    edits: list[tuple[tuple[str, ...], object]] = []
    places = {name: key for key in ("dependencies", "devDependencies") for name in package.get(key, {})}
    needed = {**_VERSIONS, **(_APP_ROUTER_VERSIONS if _has_app_router(folder) else {})}
    wanted = {ADAPTER: tarball} | {name: version for name, version in needed.items() if name not in places}
    if _PLUGIN in places and re.match(r"\D*(?:[2-9]|\d\d)|beta", str(package[places[_PLUGIN]][_PLUGIN])):
        wanted[_PLUGIN] = _VERSIONS[_PLUGIN]
        if "cf" in places:
            edits.append(((places["cf"], "cf"), None))
    for name, version in wanted.items():
        place = places.get(name, "devDependencies")
        if package.get(place, {}).get(name) != version:
            edits.append(((place, name), version))
    if wanted.get(_PLUGIN):
        # As `vinext init` writes it for version 1 of the plugin.
        scripts = {name: text for name, text in package.get("scripts", {}).items() if text == _DEPLOY_OF_BETA}
        edits += [(("scripts", name), f"{_DEPLOY_OF_BETA} --config dist/server/wrangler.json") for name in scripts]
    plan.write(path, setting.editor.set_json(plan.read(path) or "", edits))
    add_scripts(plan, folder, setting)


def _put_in_front(plan: Plan, folder: Path, app: str, setting: Setting) -> None:
    front = folder / FRONT_FOLDER
    present = next((front / name for name in NAMES if (front / name).is_file()), None)
    main = "src/entry.py"
    if present is None:
        title = "vinext-worker, in front of the app: it answers the visitors, and keeps the pages."
        name = worker_name(f"{app[:57]}-cache")
        text = new_configuration(title=title, name=name, main=main, date=setting.date, worker_first=_WORKER_FIRST, service=app)
        plan.write(front / "wrangler.toml", text)
    else:
        file = WranglerFile.read(plan, present)
        main = str(file.values.get("main") or main)
        complete_configuration(plan, file, main=main, date=setting.date, worker_first=_WORKER_FIRST, service=app)
        lower_unknown_date(plan, file, setting.newest_date)
        file.write(plan, setting.editor)
    if plan.read(front / main) is None:
        plan.write(front / main, FRONT)
    require_library(plan, front, setting.artifacts, name=f"{app}-cache")
    put_vendored(plan, front, setting.artifacts.adapter)
