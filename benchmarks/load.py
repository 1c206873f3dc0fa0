"""The load generator's end in this process."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vinext_worker.project import Project

CONNECTIONS = 4

_SCRIPT = Path(__file__).with_name("load.mjs")


class LoadError(Exception):
    """A Worker did not answer."""


@dataclass(frozen=True)
class Request:
    """What is asked for, by GET."""

    path: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Load:
    """What came of a series of requests.

    `milliseconds` each of them took, `body_bytes` of all of them, `answers` counts them by status and cache state.
    """

    seconds: float
    milliseconds: list[float]
    body_bytes: int
    answers: Counter[str]

    @classmethod
    def together(cls, parts: Sequence[Load]) -> Load:
        """Several as one."""
        return cls(
            sum(part.seconds for part in parts),
            [taken for part in parts for taken in part.milliseconds],
            sum(part.body_bytes for part in parts),
            sum((part.answers for part in parts), Counter()),
        )

    @property
    def requests(self) -> int:
        """How many there were."""
        return len(self.milliseconds)

    def quantile_ms(self, share: float) -> float:
        """What that share of the requests took at most."""
        return sorted(self.milliseconds)[min(self.requests - 1, int(share * self.requests))]


class LoadGenerator:
    """A Node.js process that asks; a context manager."""

    def __init__(self, project: Project) -> None:
        self._command = [project.tools.node, _SCRIPT]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.communicate()

    def run(self, url: str, requests: Sequence[Request], order: Sequence[int], connections: int = CONNECTIONS) -> Load:
        """Ask for `requests` in the order of their numbers, over keep-alive connections. Raises LoadError."""
        address = urlsplit(url)
        job = {
            "host": address.hostname,
            "port": address.port,
            "requests": [{"path": request.path, "headers": dict(request.headers)} for request in requests],
            "order": list(order),
            "connections": connections,
        }
        result = self._ask(job)
        if "error" in result:
            raise LoadError(f"{url}{requests[0].path}: {result['error']}")
        return Load(result["seconds"], result["milliseconds"], result["bytes"], Counter(result["answers"]))

    def _ask(self, job: dict[str, Any]) -> dict[str, Any]:
        process = self._process
        assert process.stdin is not None and process.stdout is not None  # noqa: PT018, S101 - both are pipes
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        result: dict[str, Any] = json.loads(process.stdout.readline())
        return result
