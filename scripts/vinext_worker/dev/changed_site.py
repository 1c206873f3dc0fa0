"""The copied build of a Python site whose sources have changed since."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from core.paths import PRERENDER_FOLDER
from seed.build import BUILD_FILE, Build
from vinext_worker.sites.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path


def forget_pages(assets: Path) -> None:
    """Put a build without pages in the place of a copied one: nothing that former sources have rendered is served any more.

    The pages in the cache are of the former build's ID. The next start of `dev` builds and copies the site again.
    """
    file = assets / PRERENDER_FOLDER / BUILD_FILE
    if file.is_file():
        build = Build.from_json(file.read_bytes(), str(file))
        changed = replace(build, build_id=secrets.token_hex(8), index="", shards=0, dynamic_paths=())
        write_atomically(file, changed.to_json().encode())
