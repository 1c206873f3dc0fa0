"""The chart of the README: CPU time of one request, as bars. Plain SVG that follows the reader's light or dark mode."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from benchmarks.cases import FRAMED, LAYOUT, MEMORY, OURS, TIERED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.rounds import Series

CHARTED = {
    "HIT, 8 KB": "HIT: a fresh page of 8 KB",
    "HIT, 470 KB": "HIT: a fresh page of 470 KB",
    "never stale, 470 KB": "Pre-rendered page of 470 KB, never stale (vinext renders it for every request)",
    "mix of pages": "Mix of pages of up to 100 KB",
    "STALE, 8 KB": "STALE: a page of 8 KB, with its regeneration in the background",
    "MISS, 8 KB": "MISS: a page of 8 KB, rendered and stored",
}
"""The cases in the chart, in order, with their headings."""

_LABELS = {
    MEMORY: "this Worker, memory",
    FRAMED: "this Worker, KV (framed)",
    LAYOUT: "this Worker, KV (vinext layout)",
    TIERED: "this Worker, memory + KV (framed)",
}
_TITLE = "CPU time of one request, in milliseconds"
_SUBTITLE = "Shorter is better. Each group has its own scale."

_WIDTH, _MARGIN, _LABELS_END, _VALUES = 820, 20, 268, 80
_BARS = _WIDTH - _LABELS_END - _VALUES - _MARGIN
_BAR, _GAP, _HEADING, _HEADER = 16, 5, 28, 60
_STYLE = """<style>
.card { fill: #ffffff; stroke: #d0d7de; }
.vinext { fill: #8c959f; }
.ours { fill: #0969da; }
text { fill: #1f2328; }
.quiet { fill: #57606a; font-size: 12px; }
.title { font-weight: 600; font-size: 16px; }
.heading { font-weight: 600; }
@media (prefers-color-scheme: dark) {
  .card { fill: #0d1117; stroke: #30363d; }
  .vinext { fill: #6e7681; }
  .ours { fill: #388bfd; }
  text { fill: #f0f6fc; }
  .quiet { fill: #9198a1; }
}
</style>"""


def chart(found: Sequence[Series], cases: Sequence[str] = tuple(CHARTED)) -> str:
    """Return the bars of the cases that were measured; the longest bar of each case has the full width."""
    parts = [
        _text(_MARGIN, 30, _TITLE, style="title"),
        _text(_MARGIN, 50, _SUBTITLE, style="quiet"),
    ]
    top = _HEADER
    for case in cases:
        rows = [series for series in found if series.case == case]
        if not rows:
            continue
        parts.append(_text(_MARGIN, top + 18, CHARTED.get(case, case), style="heading"))
        top += _HEADING
        longest = max(series.median_cpu_ms for series in rows)
        for series in rows:
            parts.extend(_bar(series, longest, top))
            top += _BAR + _GAP
        top += 8
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{top + 8}" viewBox="0 0 {_WIDTH} {top + 8}" '
        'font-family="system-ui, -apple-system, \'Segoe UI\', sans-serif" font-size="13" role="img">'
        f"<title>{_TITLE}: vinext's own Workers and this one; shorter is better</title>"
    )
    card = f'<rect class="card" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{top + 7}" rx="8"/>'
    return "\n".join((head, _STYLE, card, *parts, "</svg>\n"))


def _bar(series: Series, longest: float, top: int) -> tuple[str, str, str]:
    """Return a row: the label, the bar and the milliseconds."""
    width = max(1.0, _BARS * series.median_cpu_ms / longest)
    name = next((name for name in OURS if series.contender.startswith(name)), None)
    label = series.contender if name is None else series.contender.replace(name, _LABELS[name], 1)
    style = "vinext" if name is None else "ours"
    return (
        _text(_LABELS_END - 8, top + 13, label, anchor="end"),
        f'<rect class="{style}" x="{_LABELS_END}" y="{top}" width="{width:.1f}" height="{_BAR}" rx="2"/>',
        _text(_LABELS_END + width + 6, top + 13, f"{series.median_cpu_ms:.2f} ms"),
    )


def _text(x: float, y: int, text: str, *, anchor: str = "start", style: str = "") -> str:
    styled = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}"{styled}>{escape(text)}</text>'
