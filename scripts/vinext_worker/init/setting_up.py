from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vinext_worker.init.artifacts import Artifacts
    from vinext_worker.init.editor import Editor

WORKER_DATE = "2026-10-01"
"""The compatibility date of a new Python Worker."""


@dataclass(frozen=True)
class Setting:
    """What a plan is made with besides the project itself."""

    editor: Editor
    artifacts: Artifacts
    newest_date: str
    """The newest compatibility date that the local runtime knows."""
    pages: tuple[str, ...] = ("/",)
    """The pages of a Python site that are the same for every visitor."""
    app: str | None = None
    """The app to serve, as module:variable, if the user has named it."""

    @property
    def date(self) -> str:
        """The compatibility date for a new Worker."""
        return min(WORKER_DATE, self.newest_date)
