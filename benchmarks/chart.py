"""The chart of the README: processor time of an answer, as bars. Plain SVG."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.rounds import Series

_WIDTH, _LABELS, _BAR, _GAP, _TITLE = 760, 250, 18, 5, 34
_COLOURS = {"vinext": "#9aa4b2", "ours": "#2f6feb"}


def chart(found: list[Series], cases: list[str]) -> str:
    """The bars of some cases, the longest as wide as the chart: each case has a scale of its own."""
    parts: list[str] = []
    top = 8
    for case in cases:
        rows = [series for series in found if series.case == case]
        if not rows:
            continue
        longest = max(series.median_cpu_ms for series in rows)
        parts.append(_text(8, top + 18, case, weight="600"))
        top += _TITLE - 6
        for series in rows:
            width = max(1.0, (_WIDTH - _LABELS - 90) * series.median_cpu_ms / longest)
            colour = _COLOURS["ours" if series.contender.startswith("ours") else "vinext"]
            parts.extend(
                (
                    _text(_LABELS - 8, top + 13, series.contender, anchor="end"),
                    f'<rect x="{_LABELS}" y="{top}" width="{width:.1f}" height="{_BAR}" rx="2" fill="{colour}"/>',
                    _text(_LABELS + width + 6, top + 13, f"{series.median_cpu_ms:.2f} ms"),
                )
            )
            top += _BAR + _GAP
        top += 10
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{top}" viewBox="0 0 {_WIDTH} {top}" '
        'font-family="system-ui, sans-serif" font-size="13" role="img">'
        "<title>Processor time of one answer, vinext's own Worker and this one; shorter is better</title>"
        f'<rect width="{_WIDTH}" height="{top}" fill="#ffffff"/>'
    )
    return "\n".join((head, *parts, "</svg>\n"))


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "400") -> str:
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" font-weight="{weight}" fill="#1f2328">{escape(text)}</text>'
