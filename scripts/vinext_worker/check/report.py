"""The result of a check: as a table in the terminal, and as an HTML page."""

from __future__ import annotations

from html import escape
from statistics import median
from typing import TYPE_CHECKING

from rich.text import Text

from vinext_worker.check.expectation import RULE

if TYPE_CHECKING:
    from vinext_worker.check.expectation import CheckedAnswer, CheckResult
    from vinext_worker.terminal.output import Output

_STATE_STYLES = {"HIT": "green", "STALE": "yellow", RULE: "yellow"}
_CSS = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color: #1b1b1f; background: #fff }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .3rem .8rem; border-bottom: 1px solid #ddd }
td.number { text-align: right; font-variant-numeric: tabular-nums } tr.fault { background: #fde7e7 } .reason { color: #a11 }
.good { color: #176b2c } .bad { color: #a11 }
@media (prefers-color-scheme: dark) {
  body { color: #e6e6ea; background: #17171b } td, th { border-color: #333 } tr.fault { background: #401a1a }
  .reason, .bad { color: #ff9b9b } .good { color: #7fd694 }
}
"""


def show_result(result: CheckResult, output: Output) -> None:
    """Show a row for each page's answer and for each file that is wrong, and a summary."""
    wrong_files = [answer for answer in result.files if answer.faults]
    output.table(
        ("path", "form", "status", "cache", "Cache-Control", "first byte", "not as expected"),
        map(_cells, (*result.answers, *wrong_files)),
    )
    times = [answer.first_byte_ms for answer in result.answers if answer.first_byte_ms is not None]
    first_byte = f"; median time to first byte {median(times):.0f} ms" if times else ""
    output.line(f"{summary_of(result)}{first_byte}", "red" if result.wrong else "green")


def summary_of(result: CheckResult) -> str:
    """Return the result in a few words."""
    checked = f"{len(result.answers)} answers" + (f" and {len(result.files)} files" if result.files else "")
    return f"{result.wrong} of {checked} are not as expected" if result.wrong else f"all {checked} are as expected"


def _cells(answer: CheckedAnswer) -> list[Text]:
    return [
        Text(answer.path),
        Text(answer.form),
        Text(str(answer.status or "-")),
        Text(answer.state or "-", style=_STATE_STYLES.get(answer.state, "red")),
        Text(answer.cache_control),
        Text("" if answer.first_byte_ms is None else f"{answer.first_byte_ms:.0f} ms"),
        Text("\n".join(answer.faults), style="red"),
    ]


def html_page(url: str, result: CheckResult) -> str:
    """Return an HTML document that loads nothing else; wrong answers come first."""
    summary = f'<p class="{"bad" if result.wrong else "good"}">{escape(summary_of(result))}</p>'
    answers = sorted((*result.answers, *result.files), key=lambda answer: not answer.faults)
    rows = "\n".join(map(_html_row, answers))
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Check of {escape(url)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_CSS}</style></head><body>\n'
        f"<h1>Check of {escape(url)}</h1>\n{summary}\n<table>\n<thead><tr><th>path</th><th>form</th><th>status</th><th>cache</th>"
        f"<th>Cache-Control</th><th>first byte</th></tr></thead>\n<tbody>\n{rows}\n</tbody></table></body></html>\n"
    )


def _html_row(answer: CheckedAnswer) -> str:
    first_byte = "" if answer.first_byte_ms is None else f"{answer.first_byte_ms:.0f} ms"
    reasons = "".join(f'<br><span class="reason">{escape(fault)}</span>' for fault in answer.faults)
    mark = ' class="fault"' if answer.faults else ""
    return (
        f"<tr{mark}><td>{escape(answer.path)}{reasons}</td><td>{answer.form}</td>"
        f"<td>{answer.status or ''}</td><td>{escape(answer.state)}</td><td>{escape(answer.cache_control)}</td>"
        f'<td class="number">{first_byte}</td></tr>'
    )
