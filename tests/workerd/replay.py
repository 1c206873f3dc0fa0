"""Answers of vinext's own Workers, recorded, and how ours compare."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.workerd.visitor import Answer

RECORDINGS = Path(__file__).parents[1] / "fixtures" / "vinext"
FIELDS = ("status", "type", "state", "policy", "vary", "location")


@dataclass(frozen=True)
class Recorded:
    """One request that was sent to vinext's own Worker, and what came back."""

    name: str
    method: str
    path: str
    request_headers: Mapping[str, str]
    status: int
    headers: Mapping[str, str]

    @property
    def is_rsc(self) -> bool:
        return self.path.partition("?")[0].endswith(".rsc") or self.request_headers.get("RSC") == "1"


def recording(name: str) -> Sequence[Recorded]:
    """A recorded session, in its order; header names are in lower case."""
    responses = json.loads((RECORDINGS / name).read_text())["responses"]
    return [
        Recorded(
            response["name"],
            response["method"],
            response["path"],
            response["requestHeaders"],
            response["status"],
            {header.lower(): value for header, value in response["headers"]},
        )
        for response in responses
    ]


def traits(status: int, headers: Mapping[str, str], origin: str) -> dict[str, object]:
    """What of an answer is compared: by FIELDS. A location on the site itself is its path."""
    return {
        "status": status,
        "type": headers.get("content-type"),
        "state": headers.get("x-vinext-cache"),
        "policy": headers.get("cache-control"),
        "vary": headers.get("vary"),
        "location": headers.get("location", "").removeprefix(origin) or None,
    }


def differences(recorded: Mapping[str, object], ours: Mapping[str, object]) -> dict[str, tuple[object, object]]:
    """Field to vinext's value and ours, where they are not the same."""
    return {field: (recorded[field], ours[field]) for field in FIELDS if recorded[field] != ours[field]}


def answer_traits(answer: Answer, origin: str) -> dict[str, object]:
    return traits(answer.status, answer.headers, origin)
