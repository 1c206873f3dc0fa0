"""The story of a request: what the Worker would do with it now, step by step, and the reason of each step."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import quote

from cache.due_pages import PageState
from cache.look import Unserved
from isr.reasons import (
    Bypass,
    Inadmissible,
    Served,
    Unkept,
    Unlikely,
    Unselected,
    Unservable,
)
from seed.look import Unseeded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cache.due_pages import DuePage
    from cache.entry import CacheEntry
    from cache.look import Mark

GROUPS: dict[type[StrEnum], str] = {
    Bypass: "pass",
    Unlikely: "unlikely",
    Unserved: "cache",
    Unseeded: "build",
    Unservable: "entry",
    Unselected: "variant",
    Unkept: "request",
    Inadmissible: "answer",
    Served: "served",
}
"""All kinds of reasons, with the first word of their codes."""

# Printable ASCII but for the percent sign; a header has nothing else.
_IN_A_HEADER = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")

_MAX_HEADER_CHARACTERS = 400


class Outcome(StrEnum):
    """What becomes of a request."""

    HIT = "HIT"
    STALE = "STALE"
    MISS = "MISS"
    PASSED_ON = "passed on"
    RULED = "the app decides"
    FILE = "a file"
    NOT_FOUND = "404"
    FAILED = "500"
    UNKNOWN = "unknown"


def code_of(reason: StrEnum) -> str:
    """Return the code of a reason, such as `pass.draft-mode`."""
    return f"{GROUPS[type(reason)]}.{reason.name.lower().replace('_', '-')}"


@dataclass(frozen=True)
class Step:
    """One step: what was found, for what reason, and the facts."""

    name: str
    says: str
    reason: StrEnum | None = None
    facts: Mapping[str, object] = field(default_factory=dict)

    def to_document(self) -> dict[str, object]:
        """Return the step as JSON has it."""
        reason = {} if self.reason is None else {"reason": code_of(self.reason)}
        return {"step": self.name, "says": self.says, **reason, **self.facts}


@dataclass(frozen=True)
class Story:
    """What becomes of a request, the reason that decides it, and the steps to it. `took_ms` is by phase."""

    outcome: Outcome
    reason: StrEnum
    detail: str = ""
    steps: tuple[Step, ...] = ()
    took_ms: Mapping[str, float] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """The story in one line."""
        return f"{self.outcome.value}: {code_of(self.reason)} ({self.detail or self.reason.value})"

    def to_document(self) -> dict[str, object]:
        """Return the story as JSON has it."""
        return {
            "outcome": self.outcome.value,
            "reason": code_of(self.reason),
            "says": self.detail or self.reason.value,
            "steps": [step.to_document() for step in self.steps],
        }


def header_text(line: str) -> str:
    """Return a line as a header can hold it: ASCII, anything else percent-encoded, and not too long."""
    return quote(line, safe=_IN_A_HEADER)[:_MAX_HEADER_CHARACTERS]


def time_text(epoch_ms: float) -> str:
    """Return a time for people and programs (RFC 3339, UTC); one that no calendar has stays a number."""
    try:
        return datetime.fromtimestamp(epoch_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return str(epoch_ms)


def due_facts(page: DuePage) -> dict[str, object]:
    """Return what is known of the regeneration of a page, as JSON has it."""
    due = None if page.due_ms is None else time_text(page.due_ms)
    known = {"url": page.url, "state": page.state.value, "tries": page.tries, "at": time_text(page.at_ms), "due": due}
    return {**known, "error": page.error, "key": page.key}


def due_text(page: DuePage) -> str:
    """Return what came of the regeneration of a page that has failed, in words."""
    match page.state:
        case PageState.RUNNING:
            then = f"it is being regenerated again since {time_text(page.at_ms)}"
        case PageState.FAILED:
            then = f"it is tried again at {time_text(page.due_ms or 0)}"
        case PageState.GIVEN_UP:
            then = "it is not tried again until somebody asks for the page"
    times = "once" if page.tries == 1 else f"{page.tries} times, the last time"
    return f"regenerating the page has failed {times}: {page.error}; {then}"


def mark_text(mark: Mark) -> str:
    """Return what an invalidation did and when."""
    if mark.stale_until_ms is None:
        return f"the tag {mark.tag} was invalidated at {time_text(mark.at_ms)}"
    return f"the tag {mark.tag} was made stale at {time_text(mark.at_ms)}, until {time_text(mark.stale_until_ms)}"


def mark_facts(marks: Sequence[Mark]) -> dict[str, object]:
    """Return invalidations as JSON has them."""
    if not marks:
        return {}
    return {
        "invalidations": [
            {
                "tag": mark.tag,
                "at": time_text(mark.at_ms),
                **({} if mark.stale_until_ms is None else {"staleUntil": time_text(mark.stale_until_ms)}),
            }
            for mark in marks
        ]
    }


def entry_facts(entry: CacheEntry, now_ms: int) -> dict[str, object]:
    """Return what an entry says of itself, but for its content."""
    value = entry.value
    bodies = (getattr(value, name, None) for name in ("html", "rsc_data", "body"))
    size_bytes = sum(getattr(body, "size_bytes", 0) for body in bodies)
    return {
        "kind": "tombstone" if value is None else value.kind,
        "made": time_text(entry.last_modified_ms),
        "ageSeconds": max(0, now_ms - entry.last_modified_ms) // 1000,
        "revalidateSeconds": entry.revalidate_seconds,
        "expireSeconds": entry.expire_seconds,
        "bytes": size_bytes,
        "status": getattr(value, "status", None),
        "tags": list(entry.tags),
    }


def entry_text(entry: CacheEntry, now_ms: int) -> str:
    """Return the age, the period and the size of an entry in words."""
    facts = entry_facts(entry, now_ms)
    period = "no period" if entry.revalidate_seconds is None else f"a period of {entry.revalidate_seconds:g} s"
    return f"{facts['kind']}, made {facts['ageSeconds']} s ago, with {period}, {facts['bytes']} bytes"
