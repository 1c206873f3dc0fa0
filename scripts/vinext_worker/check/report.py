"""The result of a check: as a table in the terminal, and as an HTML page."""

from __future__ import annotations

from html import escape
from statistics import median
from typing import TYPE_CHECKING

from rich.text import Text

from vinext_worker.check.expectation import RULE

if TYPE_CHECKING:
    from datetime import datetime

    from vinext_worker.check.expectation import CheckedAnswer, CheckResult
    from vinext_worker.terminal.output import Output

_STATE_STYLES = {"HIT": "green", "STALE": "yellow", RULE: "yellow"}
_CSS = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color: #1b1b1f; background: #fff }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .3rem .8rem; border-bottom: 1px solid #ddd }
td { overflow-wrap: anywhere } td.number { text-align: right; font-variant-numeric: tabular-nums }
tr.fault { background: #fde7e7 } tr.note { background: #fdf4dc } .reason, .bad { color: #a11 } .remark { color: #7a5200 }
.good { color: #176b2c } fieldset { border: 0; padding: 0; margin: 0 0 1rem } label { margin-right: 1rem; white-space: nowrap }
body:has(#faults:checked) tbody tr:not(.fault), body:has(#notes:checked) tbody tr:not(.note),
body:has(#rest:checked) tbody tr:is(.fault, .note) { display: none }
@media (max-width: 45rem) {
  body { margin: 1rem } thead { display: none } table, tbody, tr, td { display: block }
  tr { padding: .5rem 0; border-bottom: 1px solid #ddd } td { border: 0; padding: 0 .5rem } td:empty { display: none }
  td.number { text-align: left } td[data-name]::before { content: attr(data-name) ": "; color: #666 }
}
@media (prefers-color-scheme: dark) {
  body { color: #e6e6ea; background: #17171b } td, th, tr { border-color: #333 } tr.fault { background: #401a1a }
  tr.note { background: #3a2e10 } .reason, .bad { color: #ff9b9b } .remark { color: #f0c674 } .good { color: #7fd694 }
  td[data-name]::before { color: #aaa }
}
"""
_FILTERS = (("all", "all"), ("faults", "not as expected"), ("notes", "with a note"), ("rest", "as expected"))


def show_result(result: CheckResult, output: Output) -> None:
    """Show a row for each page's answer and for each file that is wrong, what is wrong first, and a summary."""
    wrong_files = [answer for answer in result.files if answer.faults]
    output.table(
        ("path", "form", "status", "cache", "Cache-Control", "first byte", "not as expected"),
        map(_cells, sorted((*result.answers, *wrong_files), key=_rank)),
    )
    times = [answer.first_byte_ms for answer in result.answers if answer.first_byte_ms is not None]
    first_byte = f"; median time to first byte {median(times):.0f} ms" if times else ""
    output.line(f"{summary_of(result)}{first_byte}", "green" if result.is_right else "red")


def summary_of(result: CheckResult) -> str:
    """Return the result in a few words."""
    checked = _count(len(result.answers), "answer") + (f" and {_count(len(result.files), 'file')}" if result.files else "")
    said = [f"{result.wrong} not as expected"] if result.wrong else ["all as expected"] if result.is_right else []
    said += [result.fault] if result.fault else []
    said += [f"{result.noted} invalidated since the build"] if result.noted else []
    said += [f"{result.ruled} answered by a rule of the app"] if result.ruled and not result.fault else []
    return f"{checked} checked: {'; '.join(said)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _rank(answer: CheckedAnswer) -> int:
    """Return the place of an answer: what is wrong comes first, then what has a note."""
    return 0 if answer.faults else 1 if answer.notes else 2


def _cells(answer: CheckedAnswer) -> list[Text]:
    return [
        Text(answer.path),
        Text(answer.form),
        Text(str(answer.status or "-")),
        Text(answer.state or "-", style=_STATE_STYLES.get(answer.state, "red")),
        Text(answer.cache_control),
        Text("" if answer.first_byte_ms is None else f"{answer.first_byte_ms:.0f} ms"),
        Text("\n".join((*answer.faults, *answer.notes)), style="red" if answer.faults else "yellow"),
    ]


def html_page(url: str, result: CheckResult, build_id: str, at: datetime) -> str:
    """Return an HTML document that loads nothing else and runs nothing; wrong answers come first."""
    summary = f'<p class="{"good" if result.is_right else "bad"}">{escape(summary_of(result))}</p>'
    time = f'<time datetime="{at.isoformat()}">{at:%Y-%m-%d %H:%M} UTC</time>'
    about = f"<p>Build <code>{escape(build_id)}</code>, checked on {time}</p>"
    rows = "\n".join(map(_html_row, sorted((*result.answers, *result.files), key=_rank)))
    filters = "".join(
        f'<label><input type="radio" name="shown" id="{name}"{" checked" if name == "all" else ""}> {text}</label>'
        for name, text in _FILTERS
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Check of {escape(url)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_CSS}</style></head><body>\n'
        f"<h1>Check of {escape(url)}</h1>\n{about}\n{summary}\n<fieldset><legend>Show</legend>{filters}</fieldset>\n"
        f"<table>\n<thead><tr><th>path</th>{''.join(f'<th>{name}</th>' for name in _COLUMNS)}</tr></thead>\n"
        f"<tbody>\n{rows}\n</tbody></table></body></html>\n"
    )


_COLUMNS = ("form", "status", "cache", "Cache-Control", "first byte")


def _html_row(answer: CheckedAnswer) -> str:
    first_byte = "" if answer.first_byte_ms is None else f"{answer.first_byte_ms:.0f} ms"
    reasons = "".join(f'<br><span class="reason">{escape(fault)}</span>' for fault in answer.faults)
    remarks = "".join(f'<br><span class="remark">{escape(note)}</span>' for note in answer.notes)
    mark = ("fault", "note", "")[_rank(answer)]
    values = (answer.form, str(answer.status or ""), answer.state, answer.cache_control, first_byte)
    cells = "".join(
        f'<td data-name="{name}"{" class=number" if name == "first byte" else ""}>{escape(value)}</td>'
        for name, value in zip(_COLUMNS, values, strict=True)
    )
    return f"<tr{f' class={mark}' if mark else ''}><td>{escape(answer.path)}{reasons}{remarks}</td>{cells}</tr>"
