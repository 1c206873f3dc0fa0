from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.cold import EMPTY, FROM_BUILD, FROM_KV, FROM_SNAPSHOT, READER, WITHOUT_SNAPSHOT, cold_starts, imports
from benchmarks.contender import our_options
from benchmarks.report import import_table, start_table, target_rows

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


def test_first_answers_are_measured_above_an_empty_worker(tmp_path: Path) -> None:
    starts = cold_starts(our_options(Project.find().root, None, None), tmp_path, rounds=1, isolates=3)
    assert [start.what for start in starts] == [EMPTY, READER, FROM_KV, FROM_BUILD]
    for start in starts:
        assert len(start.first_ms) == 1
        assert len(start.further_ms) == 2
        assert all(figure > 0 for figure in (*start.first_ms, *start.further_ms))
    rows = target_rows([], [], [], starts)
    assert rows[0]["median"] == starts[2].first_ms[0] - starts[0].first_ms[0]
    assert (
        [FROM_KV in row["name"] for row in rows] == [FROM_BUILD not in row["name"] for row in rows] == [True, True, False, False]
    )
    assert start_table(starts).row_count == len(starts)
