"""The folders of a build's own scripts, styles and images, and whether the configuration lets them past the Worker."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from core.paths import PRERENDER_FOLDER
from seed.build import BUILD_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from vinext_worker.cloudflare.wrangler_config import AssetsConfig, WranglerConfig

_STATIC = "_next/static"


def static_folders(client: Path) -> tuple[str, ...]:
    """Return the URL paths of the folders, with a slash at each end.

    vinext puts basePath, or the path of assetPrefix, before `_next/static`, in URLs as in the folder of static files.
    """
    found = (folder.parent.relative_to(client).as_posix() for folder in client.rglob("static") if folder.is_dir())
    prefixes = (name.removesuffix("_next") for name in found if name == "_next" or name.endswith("/_next"))
    return tuple(sorted(f"/{prefix}{_STATIC}/" for prefix in prefixes))


def assets_advice(config: WranglerConfig, folders: Iterable[str]) -> list[str]:
    """Return what should be changed in a Worker's `[assets]`: where it shows private files, or files take a detour."""
    assets = config.assets
    if assets is None:
        return []
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
