from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.workerd.stubs import AssetsStub, PagesStub, assets_service, events, pages_service
from tests.workerd.visitor import Visitor

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from vinext_worker.project import Project


@dataclass(frozen=True)
class ColdWorker:
    """An isolate of the Worker that has answered nothing yet, with stubs for the services beside it."""

    runtime: LocalRuntime
    visitor: Visitor
    pages: PagesStub
    assets: AssetsStub
    first_log: int

    def events(self, name: str) -> Sequence[dict[str, Any]]:
        """What has been logged under the name of an event since this isolate is in use."""
        return events(self.runtime, name, self.first_log)


class WorkerPool:
    """Gives isolates that have answered nothing yet. One start makes several: that is cheaper than a start for each."""

    def __init__(self, project: Project, *, without: frozenset[str] = frozenset(), isolates: int = 6) -> None:
        self._options = RuntimeOptions(
            config=WranglerConfig.read(project.configuration),
            tools=project.tools,
            services={"PAGES": pages_service(), "ASSETS": assets_service()},
            without=without,
            isolates=isolates,
            faults=True,
        )
        self._runtime: LocalRuntime | None = None
        self._unused: list[str] = []

    def take(self) -> ColdWorker:
        """The next isolate; the stubs beside it are as at first, and know nothing of earlier tests."""
        if not self._unused:
            self.stop()
            self._runtime = LocalRuntime(self._options).start()
            self._unused = list(self._runtime.urls)
        assert self._runtime is not None
        self._runtime.heal()
        worker = ColdWorker(
            self._runtime,
            Visitor(self._unused.pop()),
            PagesStub(self._runtime),
            AssetsStub(self._runtime),
            len(self._runtime.logs),
        )
        worker.pages.reset()
        worker.assets.reset()
        return worker

    def stop(self) -> None:
        if self._runtime is not None:
            self._runtime.stop()
        self._runtime = None
        self._unused = []
