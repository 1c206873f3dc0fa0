"""The counters of an isolate as Prometheus reads them.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/, the text format 0.0.4.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from isr.numbers import LATENCY_MS
from isr.story import code_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from isr.numbers import Latency, Numbers

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def exposition(sites: Mapping[str, Numbers], started_ms: int) -> str:
    """Return the counters of each site of an isolate, by the prefix of its keys; no label has a path."""
    start = [f"vinext_isolate_start_time_seconds {started_ms / 1000:.3f}"]
    lines = [*_metric("isolate_start_time_seconds", "gauge", "When the isolate answered its first request.", start)]
    counters = (
        ("requests_total", "Requests for pages, by what became of them.", _requests),
        ("passed_on_total", "Requests that the page handler answered without anything being kept, by reason.", _passed_on),
        ("refused_total", "Answers that were not kept, of visitors and of renders in the background, by reason.", _refused),
        ("stored_total", "Entries that were written to the cache.", lambda numbers: [("", numbers.stored)]),
        ("stored_bytes_total", "Bytes of the bodies in these entries.", lambda numbers: [("", numbers.stored_bytes)]),
        ("sent_bytes_total", "Bytes of bodies that were sent from the cache.", lambda numbers: [("", numbers.sent_bytes)]),
        ("regenerations_total", "Renders in the background, by result.", _regenerations),
    )
    for name, text, rows_of in counters:
        rows = (
            f"vinext_{name}{_labels(site, labels)} {value}"
            for site, numbers in sites.items()
            for labels, value in rows_of(numbers)
        )
        lines += _metric(name, "counter", text, rows)
    histograms = (
        row
        for site, numbers in sites.items()
        for outcome, latency in numbers.requests.items()
        for row in _histogram(site, f'outcome="{outcome.name.lower()}"', latency)
    )
    lines += _metric("request_duration_seconds", "histogram", "How long requests for pages waited for their answer.", histograms)
    return "\n".join(lines) + "\n"


def _metric(name: str, kind: str, text: str, rows: Iterator[str] | list[str]) -> Iterator[str]:
    yield f"# HELP vinext_{name} {text}"
    yield f"# TYPE vinext_{name} {kind}"
    yield from rows


def _labels(site: str, labels: str) -> str:
    return f'{{site="{site.translate(_ESCAPED)}"{f",{labels}" if labels else ""}}}'


def _requests(numbers: Numbers) -> list[tuple[str, int]]:
    return [(f'outcome="{outcome.name.lower()}"', latency.count) for outcome, latency in numbers.requests.items()]


def _passed_on(numbers: Numbers) -> list[tuple[str, int]]:
    return [(f'reason="{code_of(reason)}"', count) for reason, count in numbers.passed_on.items()]


def _refused(numbers: Numbers) -> list[tuple[str, int]]:
    return [(f'reason="{code_of(reason)}"', count) for reason, count in numbers.refused.items()]


def _regenerations(numbers: Numbers) -> list[tuple[str, int]]:
    return [('result="stored"', numbers.regenerated), ('result="failed"', numbers.regenerations_failed)]


def _histogram(site: str, labels: str, latency: Latency) -> Iterator[str]:
    name = "vinext_request_duration_seconds"
    bounds = (*(f"{ms / 1000:g}" for ms in LATENCY_MS), "+Inf")
    for bound, count in zip(bounds, accumulate(latency.buckets), strict=True):
        le = f'{labels},le="{bound}"'
        yield f"{name}_bucket{_labels(site, le)} {count}"
    yield f"{name}_sum{_labels(site, labels)} {latency.total_ms / 1000:.6f}"
    yield f"{name}_count{_labels(site, labels)} {latency.count}"
