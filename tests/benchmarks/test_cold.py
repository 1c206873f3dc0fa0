from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.cold import FIRST, KEPT, WITHOUT_SNAPSHOT, imports
from benchmarks.contender import our_options
from benchmarks.report import target_rows

from vinext_worker.toolchain import Project

if TYPE_CHECKING:
    from pathlib import Path


def test_imports_are_measured_in_each_way_to_start(tmp_path: Path) -> None:
    options = replace(our_options(Project.find().root, None, None), without=frozenset({"ASSETS"}))
    found = imports(options, tmp_path / "site", 2)
    assert [one.way for one in found] == [WITHOUT_SNAPSHOT, KEPT, FIRST]
    for one in found:
        assert len(one.thread_ms) == len(one.cpu_ms) == len(one.ready_ms) == 2
        assert all(figure > 0 for figure in (*one.thread_ms, *one.cpu_ms, *one.ready_ms))
    rows = target_rows([], [], [], found)
    assert [row["name"] for row in rows] == [f"the Worker's own imports, {way}, ms" for way in (WITHOUT_SNAPSHOT, KEPT)]
