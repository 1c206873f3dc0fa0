"""The requests that an app is asked on each side. They do not say what should come: the app alone says that."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PERIOD_SECONDS = 2
"""The period of each page that has one."""


@dataclass(frozen=True)
class Ask:
    """One request, and what is compared of its answer.

    `{build}` in its path is the build's ID, `{draft}` in a header what the visitor's cookie of draft mode has.
    """

    path: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    slow_seconds: float = 0
    """How long the app makes the last part of the answer wait; 0 for one that has no slow part."""
    repeats_until_hit: bool = False
    """Whether it is asked until it is a HIT, for what goes on behind an earlier answer. Only the last answer is compared."""
    repeats_until_renewed: bool = False
    """Whether it is asked until it is a HIT after it was something else, so that the page's period has only just begun."""
    is_compared: bool = True
    matching: bool = False
    """Whether it names the ETag of the last answer for this path, as a browser does that has the page."""

    @property
    def name(self) -> str:
        """What a report calls it, such as `GET /about Cookie: a=b`."""
        shown = (f"{name}: {value}" for name, value in self.headers.items())
        return " ".join((self.method, self.path, *shown, *(["If-None-Match"] if self.matching else [])))

    def having(self, **headers: str) -> Ask:
        """The same request with more headers; an underscore stands for a hyphen."""
        return replace(self, headers={**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}})

    def settled(self) -> Ask:
        """The same request, asked until it is a HIT."""
        return replace(self, repeats_until_hit=True)

    def just_renewed(self) -> Ask:
        """The same request, asked until the page's period has just begun: nobody knows when it was built. It is not compared."""
        return replace(self, repeats_until_renewed=True, is_compared=False)

    def again(self) -> Ask:
        """The same request from a visitor who has the answer already."""
        return replace(self, matching=True)


@dataclass(frozen=True)
class Pause:
    """Time that passes."""

    seconds: float


@dataclass(frozen=True)
class Put:
    """New data for the app, under a key."""

    key: str
    value: str


@dataclass(frozen=True)
class Files:
    """Every script, style sheet and image that a page names, each asked once. What their answers have in common is compared."""

    page: str

    @property
    def name(self) -> str:
        return f"the files of {self.page}"


@dataclass(frozen=True)
class Submit:
    """The form of a Server Action on a page, sent as a browser without JavaScript sends it."""

    page: str
    action: str
    """The name of the exported function."""

    @property
    def name(self) -> str:
        return f"the form {self.action} of {self.page}"


Asked = Ask | Files | Submit
Step = Asked | Pause | Put


@dataclass(frozen=True)
class Visit:
    """Steps in their order. Visits of one app do not touch each other's pages, so they are run side by side."""

    name: str
    steps: Sequence[Step]

    @property
    def waits_for_a_period(self) -> bool:
        """Whether some page's period ends in one of its pauses, and must not end before."""
        return any(isinstance(step, Pause) and step.seconds > PERIOD_SECONDS for step in self.steps)


@dataclass(frozen=True)
class Script:
    """All that an app is asked."""

    visits: Sequence[Visit]
    variables: Mapping[str, str] = field(default_factory=dict)
    """Settings of the app where it is deployed, not where it is built."""
    attacked: Sequence[str] = ()
    """Paths that are asked with every claim of `attacks`. With `{}` in one, each claim gets a page that nobody has asked for."""


def visit(name: str, *steps: Step) -> Visit:
    return Visit(name, steps)
