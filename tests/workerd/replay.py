"""Answers of vinext's own Workers, recorded, and how ours compare."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.workerd.patience import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.workerd.visitor import Answer, Visitor

RECORDINGS = Path(__file__).parents[1] / "fixtures" / "vinext"
PERIOD = "s-maxage=<its period>, stale-while-revalidate"
NO_STORE = "no-store"
_PERIOD = re.compile(r"s-maxage=(\d+), stale-while-revalidate(?:=(\d+))?")
_NEVER_STALE_SECONDS = 31_536_000


@dataclass(frozen=True)
class Recorded:
    """One request that was sent to vinext's own Worker, and what came back."""

    name: str
    method: str
    path: str
    request_headers: Mapping[str, str]
    traits: Mapping[str, object]


@dataclass(frozen=True)
class Differs:
    """Answers that are not as recorded: as another one of the recording, or with other traits. And why."""

    names: tuple[str, ...]
    why: str
    like: str | None = None
    but: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Replay:
    """What of a recording is replayed on which site, and what is not as recorded there.

    `paths` maps the recorded site's paths and folders to ours, `skipped` the names that are not replayed to the reason.
    """

    recording: str
    paths: Mapping[str, str]
    skipped: Mapping[str, str]
    differences: Sequence[Differs]

    def recorded(self) -> Sequence[Recorded]:
        """The session in its order, with our site's paths."""
        document = json.loads((RECORDINGS / self.recording).read_text())
        return [self._recorded(response, document["base"]) for response in document["responses"]]

    def run(self, visitor: Visitor) -> dict[str, dict[str, object]]:
        """Send everything that is replayed, and return the traits of the answers by name."""
        return {each.name: self._ask(visitor, each) for each in self.recorded() if each.name not in self.skipped}

    def expected(self) -> dict[str, Mapping[str, object]]:
        """The traits that our answers must have, by name."""
        traits = {each.name: each.traits for each in self.recorded()}
        expected = {name: found for name, found in traits.items() if name not in self.skipped}
        for row in self.differences:
            for name in row.names:
                expected[name] = {**traits[row.like or name], **row.but}
        return expected

    def _ask(self, visitor: Visitor, recorded: Recorded) -> dict[str, object]:
        """Ask until the cache state is as recorded, where that is only a matter of time."""

        def ask() -> dict[str, object]:
            return answer_traits(visitor.ask(recorded.path, recorded.method, recorded.request_headers), visitor.url)

        if recorded.name.startswith(("tick-", "api-time-", "html after rsc")) and recorded.traits["state"] in {"HIT", "STALE"}:
            return eventually(ask, lambda traits: traits["state"] == recorded.traits["state"])
        return ask()

    def _recorded(self, response: Mapping[str, object], base: str) -> Recorded:
        given: dict[str, str] = {}
        headers = response["headers"]
        assert isinstance(headers, list)
        for name, value in headers:
            given[name.lower()] = value
        traits = _traits(response["status"], given, base)
        if isinstance(traits["location"], str):
            traits["location"] = self._path(traits["location"])
        request_headers = response["requestHeaders"]
        assert isinstance(request_headers, dict)
        return Recorded(
            str(response["name"]), str(response["method"]), self._path(str(response["path"])), request_headers, traits
        )

    def _path(self, recorded: str) -> str:
        path, mark, query = recorded.partition("?")
        suffix = ".rsc" if path.endswith(".rsc") else ""
        path = path.removesuffix(suffix)
        folder = path[: path.rfind("/") + 1]
        mapped = self.paths.get(path) or self.paths.get(folder, folder) + path.removeprefix(folder)
        return mapped + suffix + mark + query


def answer_traits(answer: Answer, origin: str) -> dict[str, object]:
    """What is compared of an answer."""
    return _traits(answer.status, answer.headers, origin)


def _traits(status: object, headers: Mapping[str, str], origin: str) -> dict[str, object]:
    return {
        "status": status,
        "type": headers.get("content-type"),
        "state": headers.get("x-vinext-cache"),
        "policy": _policy(headers.get("cache-control")),
        "vary": headers.get("vary"),
        "location": headers.get("location", "").removeprefix(origin.rstrip("/")) or None,
    }


def _policy(cache_control: str | None) -> str | None:
    """Cache-Control without the site's own periods: a page's period and the rest of a year, any way to say no-store."""
    if cache_control is None:
        return None
    if "no-store" in cache_control:
        return NO_STORE
    found = _PERIOD.fullmatch(cache_control)
    if found is None or int(found[1]) in {0, _NEVER_STALE_SECONDS}:
        return cache_control
    if found[2] is None:
        return PERIOD
    return f"{PERIOD}=<the rest of a year>" if int(found[1]) + int(found[2]) == _NEVER_STALE_SECONDS else cache_control
