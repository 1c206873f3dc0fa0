from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

# What the tests share is imported by its place in the project.
sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.workerd.example import ServedExample  # noqa: E402 - needs the path
from tests.workerd.worker_pool import WorkerPool  # noqa: E402 - likewise
from vinext_worker.site import prepare
from vinext_worker.toolchain import Project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.workerd.worker_pool import ColdWorker
    from vinext_worker.site import BuiltSite

STORES = {"memory": frozenset({"VINEXT_CACHE"}), "kv": frozenset[str]()}
"""Where entries are kept, and which bindings the Worker then has not."""


@pytest.fixture(scope="session")
def project() -> Project:
    return Project.find()


@pytest.fixture(scope="session")
def example_build(project: Project) -> BuiltSite:
    return prepare(project.root / "examples" / "vinext", project, Console(stderr=True))


@pytest.fixture(scope="session", params=STORES)
def example(
    request: pytest.FixtureRequest, project: Project, example_build: BuiltSite, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedExample]:
    """The example, built just now, behind the Worker; its page handler is watched."""
    folder = tmp_path_factory.mktemp(f"example-{request.param}")
    with ServedExample.start(project, example_build, folder, STORES[request.param]) as served:
        yield served


@pytest.fixture(scope="session")
def kv_pool(project: Project) -> Iterator[WorkerPool]:
    pool = WorkerPool(project, without=frozenset())
    yield pool
    pool.stop()


@pytest.fixture
def worker(kv_pool: WorkerPool) -> ColdWorker:
    """A Worker with KV that has answered nothing yet."""
    return kv_pool.take()
