from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from tests.workerd.example import ServedExample
from tests.workerd.worker_pool import WorkerPool

from vinext_worker.project import Project
from vinext_worker.sites.site_build import build_vinext_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.workerd.worker_pool import ColdWorker

    from vinext_worker.sites.site_build import SiteBuild

STORES = {"memory": frozenset({"VINEXT_CACHE"}), "kv": frozenset[str]()}
"""Where entries are kept, and which bindings the Worker then has not."""


@pytest.fixture(scope="session")
def project() -> Project:
    return Project.find()


@pytest.fixture(scope="session")
def example_build(project: Project) -> SiteBuild:
    return build_vinext_site(project.root / "examples" / "vinext", project.tools, Console(stderr=True))


@pytest.fixture(scope="session", params=STORES)
def example(
    request: pytest.FixtureRequest, project: Project, example_build: SiteBuild, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedExample]:
    """The example, built just now, behind the Worker; its page handler is watched."""
    folder = tmp_path_factory.mktemp(f"example-{request.param}")
    with ServedExample.start(project, example_build, folder, STORES[request.param]) as served:
        yield served


@pytest.fixture(scope="session")
def kv_pool(project: Project) -> Iterator[WorkerPool]:
    pool = WorkerPool(project)
    yield pool
    pool.stop()


@pytest.fixture
def worker(kv_pool: WorkerPool) -> ColdWorker:
    """A Worker with KV that has answered nothing yet."""
    return kv_pool.take()


@pytest.fixture(scope="session")
def memory_pool(project: Project) -> Iterator[WorkerPool]:
    pool = WorkerPool(project, without=STORES["memory"], isolates=3)
    yield pool
    pool.stop()


@pytest.fixture(params=STORES)
def either_worker(request: pytest.FixtureRequest) -> ColdWorker:
    """A Worker that has answered nothing yet, one without KV and one with it."""
    pool: WorkerPool = request.getfixturevalue(f"{request.param}_pool")
    return pool.take()
