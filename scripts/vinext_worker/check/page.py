"""The result as one page to look at."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vinext_worker.check.expectation import Checked

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color: #1b1b1f; background: #fff }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .3rem .8rem; border-bottom: 1px solid #ddd }
td.number { text-align: right; font-variant-numeric: tabular-nums } tr.fault { background: #fde7e7 } .reason { color: #a11 }
.good { color: #176b2c } .bad { color: #a11 }
@media (prefers-color-scheme: dark) {
  body { color: #e6e6ea; background: #17171b } td, th { border-color: #333 } tr.fault { background: #401a1a }
  .reason, .bad { color: #ff9b9b } .good { color: #7fd694 }
}
"""


def html_page(url: str, checked: Sequence[Checked]) -> str:
    """A document that needs nothing else."""
    wrong = sum(bool(row.faults) for row in checked)
    summary = f'<p class="bad">{wrong} of {len(checked)} are not as expected</p>' if wrong else _all_well(len(checked))
    rows = "\n".join(map(_row, sorted(checked, key=lambda row: not row.faults)))
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Check of {escape(url)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>\n'
        f"<h1>Check of {escape(url)}</h1>\n{summary}\n<table>\n<thead><tr><th>path</th><th>form</th><th>status</th><th>cache</th>"
        f"<th>Cache-Control</th><th>first byte</th></tr></thead>\n<tbody>\n{rows}\n</tbody></table></body></html>\n"
    )


def _all_well(count: int) -> str:
    return f'<p class="good">all {count} answers are as expected</p>'


def _row(row: Checked) -> str:
    first_byte = "" if row.first_byte_ms is None else f"{row.first_byte_ms:.0f} ms"
    reasons = "".join(f'<br><span class="reason">{escape(fault)}</span>' for fault in row.faults)
    mark = ' class="fault"' if row.faults else ""
    return (
        f"<tr{mark}><td>{escape(row.request.url_path)}{reasons}</td><td>{row.request.artifact.value}</td>"
        f"<td>{row.status or ''}</td><td>{escape(row.state)}</td><td>{escape(row.cache_control)}</td>"
        f'<td class="number">{first_byte}</td></tr>'
    )
