"""The inspector's page of numbers: what the page cache has done in the isolate that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isr.inspect_html import html, page, table, tag
from isr.inspect_site import note
from isr.story import code_of, time_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import StrEnum

    from isr.answer import CachedAnswer
    from isr.inspect_html import Html
    from isr.inspect_site import InspectedSite
    from isr.numbers import Latency

_HINT = (
    "Each isolate counts for itself, and there may be many: another look may show another one's numbers. "
    "`vinext-worker stats` has those of all."
)


def numbers_page(site: InspectedSite, nav: Html) -> CachedAnswer:
    """Return the counters of a site in this isolate."""
    numbers = site.numbers
    rate = "no requests yet" if numbers.hit_rate is None else f"{100 * numbers.hit_rate:.1f} %"
    done = [
        ("answered from the cache", rate),
        ("requests for pages", numbers.total),
        ("bytes sent from the cache", f"{numbers.sent_bytes:,}"),
        ("entries stored", numbers.stored),
        ("bytes of their bodies", f"{numbers.stored_bytes:,}"),
        ("renders in the background that were stored", numbers.regenerated),
        ("renders in the background that failed", numbers.regenerations_failed),
    ]
    outcomes = [(outcome.value, latency.count, _mean(latency)) for outcome, latency in numbers.requests.items()]
    return page(
        "Numbers",
        tag("p", f"This isolate has answered since {time_text(site.started_ms)}."),
        table(("what", "count"), done),
        tag("h2", "Requests for pages"),
        table(("outcome", "count", "waited on average"), outcomes),
        _reasons("Passed on without anything being kept", numbers.passed_on),
        _reasons("Answers that were not kept", numbers.refused),
        note(_HINT),
        nav=nav,
    )


def _mean(latency: Latency) -> str:
    return f"{latency.total_ms / latency.count:.1f} ms" if latency.count else ""


def _reasons(title: str, counts: Mapping[StrEnum, int]) -> Html:
    rows = [(code_of(reason), reason.value, count) for reason, count in sorted(counts.items(), key=lambda item: -item[1])]
    return html(tag("h2", title), table(("reason", "meaning", "count"), rows)) if rows else html()
