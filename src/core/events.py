"""All events that the Worker logs; `python -m core.events` prints the table of `docs/operating.md`.

Nothing in the Worker reads this: it is for people, and a test compares it with the calls of `Log.event`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.log import Level


@dataclass(frozen=True)
class Event:
    """The levels of an event, and when it is logged, as a cell of a table in Markdown."""

    levels: tuple[Level, ...]
    when: str


EVENTS: Mapping[str, Event] = {
    "page.stored": Event(("info",), "a visitor's MISS has been stored"),
    "page.regenerated": Event(("info",), "a page was rendered in the background and stored"),
    "page.not_made": Event(
        ("info", "warning", "error"),
        "a background render failed, or its result may not be stored: see `reason`. Error: the adapter asked for something else",
    ),
    "page.taken_up": Event(
        ("info",),
        "the Durable Object regenerates a page (`key`) that [was not](how-a-request-is-answered.md#until-it-is-done), "
        "after so many `tries`",
    ),
    "page.given_up": Event(("error",), "a page could not be regenerated in 12 attempts, the last by `error`"),
    "page.not_stored": Event(("debug", "warning"), "a response may not be stored. Warning: it broke off or is too large"),
    "page.failed": Event(("error",), "the page handler gave no response, or failed for everybody a moment ago"),
    "page.raised": Event(("error",), "Python code of the site raised an exception: see `traceback`"),
    "stages.failed": Event(
        ("error",),
        "the app's request stage failed, or said what does not parse; the app answered as a whole, and nothing is stored",
    ),
    "stages.unknown": Event(
        ("warning",), "the app's vinext speaks another version of its stages: `stage` was not stored. Update the adapter"
    ),
    "cache.invalidated": Event(
        ("info",),
        "a request invalidated `tags`; with `stale_seconds` it made their pages stale for that time. "
        "KV will be told of the `unwritten` ones later",
    ),
    "cache.invalidation_failed": Event(("error",), "an invalidation was lost by the store, or by an answer without the cache"),
    "cache.invalidation_lost": Event(
        ("error",),
        "KV did not take the markers of an invalidation in the end: "
        "[other isolates may serve old pages](invalidation.md#what-kv-does-not-take-at-once)",
    ),
    "cache.markers_failed": Event(("error",), "the tag markers of an entry could not be read; it counts as a miss"),
    "cache.entry_invalidated": Event(("debug",), "an entry was found whose tags had been invalidated"),
    "cache.write_invalidated": Event(("debug",), "an entry was invalidated before it could be written"),
    "cache.read_failed": Event(("error",), "the store failed; the page was served all the same"),
    "cache.write_failed": Event(("error",), "the store failed; the page was served, and is not stored"),
    "cache.write_too_soon": Event(
        ("info",),
        "another isolate has written the same page within this second, and KV takes one write a second for a key",
    ),
    "cache.value_too_large": Event(("warning",), "an entry has more than 25 MiB, as KV allows, without R2; it is not stored"),
    "cache.entry_corrupt": Event(("error",), "an entry cannot be read; it counts as a miss and is removed"),
    "cache.entry_of_other_key": Event(("error",), "KV gave the entry of another key; it counts as a miss"),
    "cache.handler_unusable": Event(
        ("error",), "[a cache handler of the site's own](own-cache-handlers.md) cannot be used; the Worker's own cache is"
    ),
    "cache.tag_invalid": Event(("warning",), "a tag is not allowed and was left out"),
    "cache.region_failed": Event(
        ("warning",), "the regional cache failed or did not answer within a second; the store was asked"
    ),
    "edge.unusable": Event(
        ("warning", "error"),
        "`VINEXT_EDGE_CACHE` is on, but [Workers Cache](workers-cache.md) is not there or may not keep these pages: see `error`",
    ),
    "edge.purge_failed": Event(
        ("error",), "Workers Cache did not purge `tags`, and [may still have their pages](workers-cache.md#invalidations)"
    ),
    "tags.unreachable": Event(
        ("warning",),
        "the Durable Object of tags failed or was silent for a second; [KV's markers hold](invalidation.md#at-once-everywhere)",
    ),
    "tags.not_told": Event(("error",), "the object did not take an invalidation; other isolates learn of it from KV"),
    "tags.marker_waits": Event(
        ("warning",), "KV did not take a marker (`key`); the Durable Object of tags writes it again until KV takes it"
    ),
    "tags.no_retries": Event(
        ("warning",),
        "the Worker that has the class `VinextTags` has no store, or not the binding, so "
        "[no page is retried](how-a-request-is-answered.md#until-it-is-done)",
    ),
    "lease.failed": Event(("warning",), "the lease could not be taken; the page is rendered without it"),
    "seed.failed": Event(("error",), "a page of the build could not be seeded"),
    "seed.nothing": Event(("info",), "there is no build"),
    "data.unreadable": Event(("warning",), "a stored result of the data cache cannot be read"),
    "file.failed": Event(("error",), "the assets did not answer for a script or style of the build; the page handler was asked"),
    "image.failed": Event(("warning",), "an image could not be fetched"),
    "image.not_transformed": Event(("warning",), "an image was served unchanged"),
    "images.passed_on": Event(("info",), "the app's Worker answers requests for [images](images.md#behind-a-rule-of-the-app)"),
    "images.rules_wrong": Event(("error",), "the build's rules for images cannot be read; the defaults are used"),
    "admin.revalidated": Event(("info",), "somebody invalidated `tags` or `prefixes` by the endpoint or the inspector"),
    "admin.seeded": Event(("info",), "somebody populated the cache by the endpoint"),
    "admin.refused": Event(("warning",), "a request for an endpoint under `/__vinext/` was refused: see `reason`"),
    "inspect.pruned": Event(("info",), "somebody removed entries of a build in the inspector"),
    "inspect.failed": Event(
        ("error",),
        "the [inspector](why-not-a-hit.md#in-a-browser) could not show a page: the store failed, or a bug in the Worker",
    ),
    "why.failed": Event(
        ("error",),
        "a bug in the Worker: it could not tell [why a page is not a HIT](why-not-a-hit.md); the answer does not depend on it",
    ),
    "analytics.failed": Event(("error",), "a [data point](#numbers-over-time) could not be written"),
    "binding.wrong": Event(("error",), "`binding` is bound to something of another kind, and is not used"),
    "settings.wrong": Event(("error",), "a setting has a value that is not allowed; all requests go to the page handler"),
    "background.given_up": Event(("warning",), "work in the background (`what`) did not end and was given up"),
    "background.failed": Event(("error",), "a bug in the Worker: work in the background (`what`) failed"),
    "claim.ended": Event(
        ("warning",), "a request began some `work` and was ended, or takes too long; the next request does the work"
    ),
    "loop.fallback": Event(
        ("warning",), "a release of Python, Pyodide or the SDK lacks a private name: each response costs more CPU; see `reason`"
    ),
    "asgi.no_lifespan": Event(("debug",), "an ASGI app takes no lifespan events"),
    "answer.failed": Event(("error",), "a bug in the Worker; the page handler answers"),
}
"""Event to its levels and when it is logged."""


def table() -> str:
    """Return the table of all events, in Markdown."""
    rows = (f"| `{name}` | {', '.join(event.levels)} | {event.when} |" for name, event in EVENTS.items())
    return "\n".join(("| event | level | when |", "| --- | --- | --- |", *rows))


if __name__ == "__main__":
    sys.stdout.write(f"{table()}\n")
