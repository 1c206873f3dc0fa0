from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.differential.data_server import DataServer
from tests.differential.report import run_app

from vinext_worker.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from tests.differential.report import AppReport

_TESTS = Path(__file__).with_name("test_apps.py")
_AT_ONCE = 2
_ATTEMPTS = 3


class Runs:
    """Runs the apps that this session has tests for: two at once, each as soon as there is room, and each once."""

    def __init__(self, apps: list[str], run: Callable[[str], AppReport]) -> None:
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="differential")
        self._futures: dict[str, Future[AppReport]] = {app: self._threads.submit(run, app) for app in apps}

    @property
    def apps(self) -> list[str]:
        return list(self._futures)

    def report(self, app: str) -> AppReport:
        """Wait for an app's run, and return what it has shown; raise what it raised."""
        return self._futures[app].result()

    def stop(self) -> None:
        self._threads.shutdown(cancel_futures=True)


@pytest.fixture(scope="session")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    project = Project.find()
    tmp_path_factory.getbasetemp()  # makes the folder, before two threads would
    items = [item for item in request.session.items if isinstance(item, pytest.Function) and item.path == _TESTS]
    wanted: dict[str, None] = dict.fromkeys(str(item.callspec.params["app"]) for item in items if hasattr(item, "callspec"))
    with DataServer().started() as data:

        def run(app: str) -> AppReport:
            """Where the machine was too slow for the periods of an app, only another run can tell."""
            report = run_app(project, app, data, _folder(tmp_path_factory, app))
            for _ in range(_ATTEMPTS - 1):
                if not (report.is_late and report.is_surprising):
                    break
                report = run_app(project, app, data, _folder(tmp_path_factory, app))
            return report

        running = Runs([str(app) for app in wanted], run)
        try:
            yield running
        finally:
            running.stop()


def _folder(factory: pytest.TempPathFactory, app: str) -> Path:
    return factory.mktemp(app)
