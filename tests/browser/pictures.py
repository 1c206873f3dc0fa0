"""The pictures of the docs, which `./scripts/pictures` takes while the tests run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page, ViewportSize

FOLDER = "VINEXT_WORKER_PICTURES"
"""The environment variable that names the folder for them. Without it none are taken."""

PICTURE_SIZE: ViewportSize = {"width": 1000, "height": 640}

_IN_THE_DOCS = frozenset({"inspector-entries", "inspector-entry", "inspector-tags"})


class Pictures:
    """Takes the pictures that the docs have."""

    def __init__(self) -> None:
        self._folder = os.environ.get(FOLDER)

    def take(self, page: Page, name: str) -> None:
        """Take a picture of a page, if it is one of those."""
        if self._folder is not None and name in _IN_THE_DOCS:
            page.wait_for_load_state("networkidle")
            page.screenshot(path=Path(self._folder) / f"{name}.png")
