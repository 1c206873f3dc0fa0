"""What differs between two sides, and which of it is accepted."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.differential.observe import Observation
    from tests.differential.script import Asked

ABSENT = "-"
_SHOWN_CHARACTERS = 300
_PARTS = re.compile(r"<[^<>]*>|[^<>\n]+|\n|[<>]")


@dataclass(frozen=True)
class Difference:
    """One trait of one answer that is not as with the app alone."""

    app: str
    store: str
    visit: str
    step: int
    ask: Asked
    trait: str
    alone: str
    ours: str
    is_first: bool
    """Whether the visit had not asked that before."""
    alone_besides: Mapping[str, str] = field(repr=False)
    ours_besides: Mapping[str, str] = field(repr=False)
    """All traits of the two answers."""

    @property
    def what(self) -> str:
        """The difference without the place where it was seen."""
        if self.trait in {"body", "payload"} and ABSENT not in {self.alone, self.ours}:
            return f"{self.trait}: {_changes(self.alone, self.ours)}"
        return f"{self.trait}: alone {_shown(self.alone)}, ours {_shown(self.ours)}"

    def __str__(self) -> str:
        return f"{self.app} [{self.store}] {self.visit}, answer {self.step}: {self.ask.name}\n    {self.what}"


@dataclass(frozen=True, eq=False)
class Row:
    """Differences of one kind, and why they are there. Patterns match a whole value; an empty tuple of apps means every app."""

    why: str
    trait: str
    alone: str = ".*"
    ours: str = ".*"
    apps: Sequence[str] = ()
    visit: str = ".*"
    request: str = ".*"
    store: str = ".*"
    steps: Sequence[int] = ()
    """Which answers of a visit, counted from 1; empty means any."""
    is_first: bool | None = None
    """Whether the visit had not asked that before; None means either."""
    besides: Mapping[str, str] = field(default_factory=dict)
    """Other traits of our answer, with their patterns."""
    besides_alone: Mapping[str, str] = field(default_factory=dict)
    """The same of the answer of the app alone."""

    def matches(self, difference: Difference) -> bool:
        """Whether a difference is of this kind."""
        return (
            (not self.apps or difference.app in self.apps)
            and (not self.steps or difference.step in self.steps)
            and _is_like(self.trait, difference.trait)
            and _is_like(self.alone, difference.alone)
            and _is_like(self.ours, difference.ours)
            and _is_like(self.visit, difference.visit)
            and _is_like(self.request, difference.ask.name)
            and _is_like(self.store, difference.store)
            and self.is_first in {None, difference.is_first}
            and all(_is_like(pattern, difference.ours_besides.get(trait, ABSENT)) for trait, pattern in self.besides.items())
            and all(
                _is_like(pattern, difference.alone_besides.get(trait, ABSENT)) for trait, pattern in self.besides_alone.items()
            )
        )


def differences(
    app: str, store: str, alone: Mapping[str, Sequence[Observation]], ours: Mapping[str, Sequence[Observation]]
) -> Iterator[Difference]:
    """Each difference of an app's answers. Where the statuses differ, what else differs only follows from that."""
    for visit, observations in alone.items():
        asked: set[str] = set()
        for step, (expected, seen) in enumerate(zip(observations, ours[visit], strict=True), 1):
            is_first = seen.ask.name not in asked
            asked.add(seen.ask.name)
            traits = sorted({*expected.traits, *seen.traits})
            for trait in traits if expected.traits.get("status") == seen.traits.get("status") else ["status"]:
                one, other = expected.traits.get(trait, ABSENT), seen.traits.get(trait, ABSENT)
                if one != other:
                    yield Difference(app, store, visit, step, seen.ask, trait, one, other, is_first, expected.traits, seen.traits)


def _is_like(pattern: str, value: str) -> bool:
    return re.fullmatch(pattern, value, re.DOTALL) is not None


def _shown(value: str) -> str:
    return value if len(value) <= _SHOWN_CHARACTERS else f"{value[:_SHOWN_CHARACTERS]} … ({len(value)} characters)"


def _changes(alone: str, ours: str) -> str:
    """What two texts do not have in common: words with their neighbours."""
    one, other = _PARTS.findall(alone), _PARTS.findall(ours)
    matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
    parts = []
    for kind, start, end, begin, stop in matcher.get_opcodes():
        if kind != "equal":
            before = _shown("".join(one[max(0, start - 1) : start]))
            parts.append(f"…{before}[alone {''.join(one[start:end])!r}, ours {''.join(other[begin:stop])!r}]")
    return _shown(" ".join(parts))
