"""The benchmark's figures for people."""

from __future__ import annotations

from typing import Any

import pytest
from benchmarks.cases import MEMORY, OPENNEXT, VINEXT
from benchmarks.changes import changes
from benchmarks.publish import BEGIN, END, page, with_table
from benchmarks.report import document
from benchmarks.rounds import Series

CASE = "HIT, 8 KB"


def series(contender: str, cpu_ms: list[float], case: str = CASE) -> Series:
    rounds = [1.0] * len(cpu_ms)
    return Series(case, contender, cpu_ms, rounds, rounds, rounds, 8000, 1_000_000)


def figures(*found: Series) -> dict[str, Any]:
    machine = dict.fromkeys(("processor", "cores", "load", "rounds", "seconds", "noise_before", "noise_after"), 1)
    return document(machine, list(found), [], [], [], [])


@pytest.mark.parametrize(
    ("now", "verdict"),
    [
        pytest.param([0.5, 0.4, 0.6], "", id="the same"),
        pytest.param([0.62, 0.5, 0.58], "", id="within the spread"),
        pytest.param([0.8, 0.7, 0.9], "dearer", id="dearer"),
        pytest.param([0.3, 0.2, 0.25], "cheaper", id="cheaper"),
    ],
)
def test_a_share_of_a_peer_s_cost_is_compared_with_its_spread(now: list[float], verdict: str) -> None:
    last = figures(series(VINEXT[1], [1, 1, 1]), series(MEMORY, [0.4, 0.5, 0.6]), series(MEMORY, [1, 1, 1], "304"))
    # The machine is half as fast today.
    found = [series(VINEXT[1], [2, 2, 2]), series(OPENNEXT[0], [1, 1, 1]), series(MEMORY, [share * 2 for share in now])]
    (change,) = changes(found, last)
    assert (change.case, change.contender, change.against, change.verdict) == (CASE, MEMORY, VINEXT[1], verdict)
    assert "0.50 (0.45 to 0.55)" in change.row()
    assert "| HIT, 8 KB | ours, memory | vinext 1.4.0 | 0.50 (0.45 to 0.55)" in page(figures(*found), [change])


def test_the_readme_s_table_has_the_peers_beside_each_other_and_is_replaced() -> None:
    text = f"# A\n\n{BEGIN}\n\nold\n\n{END}\n\nB\n"
    document = figures(
        series(VINEXT[1], [2]), series(OPENNEXT[0], [1.5]), series(MEMORY, [0.5]), series(MEMORY, [9], "HIT, 2 MB")
    )
    written = with_table(text, document)
    assert written.startswith(f"# A\n\n{BEGIN}\n\n| CPU")
    assert "| HIT, 8 KB |  | 2.00 | 1.50 |  | **0.50** |  |  |\n\n" in written
    assert written.endswith(f"{END}\n\nB\n")
    assert "old" not in written
    assert "2 MB" not in written
    assert with_table(written, document) == written
    with pytest.raises(ValueError, match="has no <!-- figures"):
        with_table("# A", document)
