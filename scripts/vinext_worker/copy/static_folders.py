"""The files of a site that are served as they are, and whether the configuration lets them past the Worker."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from core.paths import PRERENDER_FOLDER, url_path
from seed.build import BUILD_FILE
from vinext_worker.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from vinext_worker.cloudflare.wrangler_config import AssetsConfig, WranglerConfig

_STATIC = "_next/static"

_EVERYTHING = "/*"

_SHOWN_FILES = 3

FILES_FIRST = (f"/{PRERENDER_FOLDER}/*",)
"""`run_worker_first` of a Python site: every file comes before the Worker, but for its pages."""


def static_folders(client: Path) -> tuple[str, ...]:
    """Return the URL paths of the folders, with a slash at each end.

    vinext puts basePath, or the path of assetPrefix, before `_next/static`, in URLs as in the folder of static files.
    """
    found = (folder.parent.relative_to(client).as_posix() for folder in client.rglob("static") if folder.is_dir())
    prefixes = (name.removesuffix("_next") for name in found if name == "_next" or name.endswith("/_next"))
    return tuple(sorted(f"/{prefix}{_STATIC}/" for prefix in prefixes))


def public_files(folder: Path) -> tuple[str, ...]:
    """Return the URL paths of the files in a Python site's folder of static files; raise UserError for one that has none."""
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    wrong = next((name for name in names if name != name.encode(errors="replace").decode()), None)
    if wrong is not None:
        raise UserError(f"{folder} has a file whose name is not UTF-8 ({wrong!a}), so it has no URL; rename it")
    return tuple(sorted(url_path("/" + name.replace("%", "%25")) for name in names if name.partition("/")[0] != PRERENDER_FOLDER))


def assets_advice(config: WranglerConfig, folders: Iterable[str], files: Sequence[str] = ()) -> list[str]:
    """Return what should be changed in a Worker's `[assets]`: where it shows private files, or files take a detour.

    `folders` are those of a vinext app (`static_folders`), `files` those of a Python site (`public_files`).
    """
    assets = config.assets
    if assets is None:
        return []
    if files:
        return _advice_for_files(config, assets, files)
    if not is_worker_first(assets, f"/{PRERENDER_FOLDER}/{BUILD_FILE}"):
        rules = _as_text(["/*", *(f"!{folder}*" for folder in folders)])
        return [f"/{PRERENDER_FOLDER}/ is public; in [assets] of {config.path} write run_worker_first = {rules}"]
    detours = [folder for folder in folders if is_worker_first(assets, f"{folder}file.js")]
    if not detours:
        return []
    given = assets.run_worker_first
    rules = _as_text([*(["/*"] if isinstance(given, bool) else given), *(f"!{folder}*" for folder in detours)])
    detour = f"the Worker answers for every file below {' and '.join(detours)}, which costs CPU"
    return [f"{detour}; in [assets] of {config.path} write run_worker_first = {rules}"]


def _advice_for_files(config: WranglerConfig, assets: AssetsConfig, files: Sequence[str]) -> list[str]:
    own = [rule for rule in assets.worker_first if rule not in {_EVERYTHING, *FILES_FIRST}]
    write = f"in [assets] of {config.path} write run_worker_first = {_as_text([*FILES_FIRST, *own])}"
    if not is_worker_first(assets, f"/{PRERENDER_FOLDER}/{BUILD_FILE}"):
        return [f"/{PRERENDER_FOLDER}/ is public; {write}"]
    detours = [file for file in files if is_worker_first(assets, file)]
    # Whoever names a folder means it.
    if not detours or not (assets.run_worker_first is True or _EVERYTHING in assets.worker_first):
        return []
    shown = ", ".join(detours[:_SHOWN_FILES]) + (" …" if len(detours) > _SHOWN_FILES else "")
    return [f"the Worker answers for {len(detours)} files of public/ ({shown}), which costs CPU; {write}"]


def is_worker_first(assets: AssetsConfig, path: str) -> bool:
    """Return whether the Worker is asked for a path before the files are.

    Exceptions win (https://developers.cloudflare.com/workers/static-assets/binding/#run_worker_first).
    """
    if isinstance(assets.run_worker_first, bool):
        return assets.run_worker_first
    return any(_matches(rule, path) for rule in assets.worker_first) and not any(
        _matches(rule, path) for rule in assets.assets_first
    )


def _matches(rule: str, path: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, rule.split("*"))), path) is not None


def _as_text(rules: list[str]) -> str:
    # The same in TOML and JSON.
    return json.dumps(rules, ensure_ascii=False)
