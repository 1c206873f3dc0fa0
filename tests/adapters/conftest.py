from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httpx2
import pytest
from rich.console import Console

from vinext_worker.project import Project
from vinext_worker.sites.site_build import build_vinext_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vinext_worker.sites.site_build import SiteBuild

SERVE = Path(__file__).with_name("serve.mjs")


@dataclass(frozen=True)
class PagesWorker:
    """The example's own Worker in workerd: what visitors reach of it, and what vinext-worker does."""

    client: httpx2.Client
    backstage_url: str

    def markers(self) -> dict[str, str]:
        """Return what is in the KV namespace."""
        answer: dict[str, str] = httpx2.get(f"{self.backstage_url}/markers").json()
        return answer

    def serve(self, path: str, method: str = "GET", **call: object) -> Staged:
        """Let the app answer in stages, where nobody has an entry."""
        answer = self._ask("serve", path, method=method, **call)
        return Staged(answer["questions"], answer["about"], Sent.of(answer["response"]), Kept.of(answer.get("kept")))

    def render(self, path: str) -> Kept | None:
        """Let the app render a page for the cache."""
        return Kept.of(self._ask("render", path, headers={"Accept": "text/html"})["kept"])

    def replay(self, replay: str) -> Kept | None:
        """Let the app render again what the request stage has asked for before."""
        return Kept.of(self._ask("replay", "/", replay=replay)["kept"])

    def _ask(self, call: str, path: str, **given: object) -> dict[str, Any]:
        document = {"call": call, "url": str(self.client.base_url.join(path)), **given}
        answer = httpx2.post(f"{self.backstage_url}/ask", json=document, timeout=60)
        assert answer.status_code == 200, answer.text
        asked: dict[str, Any] = answer.json()
        return asked


@dataclass(frozen=True)
class Sent:
    """What the visitor gets."""

    status: int
    headers: httpx2.Headers
    body: str

    @classmethod
    def of(cls, document: dict[str, Any]) -> Sent:
        return cls(document["status"], httpx2.Headers([*map(tuple, document["headers"])]), document["body"])


@dataclass(frozen=True)
class Kept:
    """What may be kept of it."""

    status: int
    headers: httpx2.Headers
    body: str | None
    payload: str | None
    document: str | None

    @classmethod
    def of(cls, document: dict[str, Any] | None) -> Kept | None:
        if document is None:
            return None
        headers = httpx2.Headers([*map(tuple, document["headers"])])
        return cls(document["status"], headers, document["body"], document["payload"], document["document"])

    @property
    def tags(self) -> set[str]:
        return {unquote(tag) for tag in self.headers["X-Vinext-Cache-Tags"].split(",")}


@dataclass(frozen=True)
class Staged:
    """What the app's request stage asked for, what it said in the end, and the response."""

    questions: list[dict[str, str]]
    about: dict[str, Any]
    response: Sent
    kept: Kept | None


@pytest.fixture(scope="session")
def project() -> Project:
    return Project.find()


@pytest.fixture(scope="session")
def example(project: Project) -> SiteBuild:
    return build_vinext_site(project.root / "examples" / "vinext", project.tools, Console(stderr=True))


@pytest.fixture(scope="session")
def pages(project: Project, example: SiteBuild) -> Iterator[PagesWorker]:
    command = [project.tools.node, SERVE, project.tools.node_modules, example.server_config]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        addresses = json.loads(process.stdout.readline())
        with httpx2.Client(base_url=addresses["pages"], timeout=30, follow_redirects=False) as client:
            yield PagesWorker(client, addresses["backstage"])
