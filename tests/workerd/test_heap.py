"""What an isolate remembers, and what passes through it, leaves its heap small: WebAssembly's memory never shrinks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from benchmarks.heap import MIB, measured_worker
from benchmarks.load import LoadGenerator, Request
from benchmarks.memory import long_paths, pages

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.heap import MeasuredWorker, Store

    from vinext_worker.project import Project

PATHS = 2500
SPARE_MIB = 1
REMEMBERED_MIB = 8
SMALL_MEMORY_MIB = 4


@pytest.fixture(scope="module")
def generator(project: Project) -> Iterator[LoadGenerator]:
    with LoadGenerator(project) as started:
        yield started


def ask(generator: LoadGenerator, worker: MeasuredWorker, paths: Sequence[str]) -> dict[str, int]:
    requests = [Request(path) for path in paths]
    return dict(generator.run(worker.url, requests, range(len(requests))).answers)


def test_distinct_long_paths_are_remembered_within_a_budget(project: Project, generator: LoadGenerator, tmp_path: Path) -> None:
    with measured_worker(project, tmp_path, "memory", {"VINEXT_MEMORY_BYTES": str(SMALL_MEMORY_MIB * MIB)}) as worker:
        before = worker.heap_mib()
        assert ask(generator, worker, long_paths(PATHS)) == {"200 none": PATHS}
        assert worker.heap_mib() <= before + REMEMBERED_MIB
        ask(generator, worker, pages("binary", 4000, 600))
        assert worker.heap_mib() <= before + REMEMBERED_MIB + 2 * SMALL_MEMORY_MIB


@pytest.mark.parametrize("store", ["vinext", "framed"])
def test_large_pages_never_enter_the_heap(project: Project, generator: LoadGenerator, tmp_path: Path, store: Store) -> None:
    large = (
        *pages("kept", 5 * MIB, 5),
        *pages("accented", 8 * MIB, 2),
        *pages("binary", 8 * MIB, 2),
        *pages("kept", 10 * MIB, 1),
        *pages("kept", 20 * MIB, 1),
    )
    with measured_worker(project, tmp_path, store) as worker:
        before = worker.heap_mib()
        assert ask(generator, worker, large) == {"200 miss": len(large)}
        assert ask(generator, worker, pages("kept", 5 * MIB, 3)) == {"200 hit": 3}
        assert worker.heap_mib() <= before + SPARE_MIB
