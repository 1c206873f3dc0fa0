from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.cold import FROM_SNAPSHOT, WITHOUT_SNAPSHOT, imports
from benchmarks.contender import our_options
from benchmarks.report import import_table

from vinext_worker.project import Project

if TYPE_CHECKING:
    from pathlib import Path


def test_imports_are_measured_in_each_way_to_start(tmp_path: Path) -> None:
    options = replace(our_options(Project.find().root, None, None), without=frozenset({"ASSETS"}))
    measured = imports(options, tmp_path / "site", rounds=1)
    assert [one.way for one in measured] == [WITHOUT_SNAPSHOT, FROM_SNAPSHOT]
    for one in measured:
        assert len(one.thread_ms) == len(one.cpu_ms) == len(one.ready_ms) == 1
        assert all(figure > 0 for figure in (*one.thread_ms, *one.cpu_ms, *one.ready_ms))
    assert import_table(measured).row_count == 2
