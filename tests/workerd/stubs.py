"""The services beside the Worker that tests watch and steer; their JavaScript is in tests/fixtures."""

from __future__ import annotations

import json
import shutil
from base64 import b64encode
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2 as httpx

from vinext_worker.local_runtime import BuildService, ScriptService

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vinext_worker.local_runtime import LocalRuntime
    from vinext_worker.sites.site_build import SiteBuild

FIXTURES = Path(__file__).parents[1] / "fixtures"
_PAGES = (FIXTURES / "pages" / "pages.mjs").read_text()
_ASSETS = (FIXTURES / "assets" / "assets.mjs").read_text()

FORBIDDEN = {"*": {"status": 599, "body": "the page handler must not be asked"}}
"""A plan under which nothing that the page handler answers passes for a page."""


def pages_service() -> ScriptService:
    """A page handler that makes its pages itself."""
    return ScriptService(f"const inner = undefined;\n{_PAGES}")


def watched_build(built: SiteBuild, folder: Path) -> BuildService:
    """The real built Worker, with the stub around it."""
    shutil.copytree(built.server_config.parent, folder, ignore=shutil.ignore_patterns("prerendered-routes", "*.map"))
    config = json.loads(built.server_config.read_text())
    (folder / "watched.js").write_text(f'import inner from "./{config["main"]}";\n{_PAGES}')
    config["main"] = "watched.js"
    copied = folder / built.server_config.name
    copied.write_text(json.dumps(config))
    return BuildService(copied)


def assets_service() -> ScriptService:
    """Assets that a test fills."""
    return ScriptService(_ASSETS)


@dataclass(frozen=True)
class PageRequested:
    """One request that reached the page handler, by `fetch` or by a method of an app in stages."""

    call: str
    method: str
    path: str
    rsc: bool
    headers: Mapping[str, str]


class _Stub:
    def __init__(self, runtime: LocalRuntime, binding: str) -> None:
        self._url = f"{runtime.service_urls[binding]}/__stub"

    def _ask(self, method: str, document: Mapping[str, object] | None = None) -> Any:
        return httpx.request(method, self._url, json=document, timeout=30, trust_env=False).json()

    def reset(self) -> None:
        self._ask("DELETE")


class PagesStub(_Stub):
    """The page handler's steering wheel."""

    def __init__(self, runtime: LocalRuntime) -> None:
        super().__init__(runtime, "PAGES")

    def requests(self, path: str | None = None, *, rsc: bool | None = None) -> list[PageRequested]:
        """What has reached the handler: all, or for one path, or for one form of it."""
        asked = [PageRequested(**request) for request in self._ask("GET")["requests"]]
        return [each for each in asked if path in {None, each.path} and rsc in {None, each.rsc}]

    def plan(self, **plans: Mapping[str, object]) -> None:
        """See `plan_for`; for paths of one segment."""
        self.plan_for({f"/{name}": plan for name, plan in plans.items()})

    def plan_for(self, plans: Mapping[str, Mapping[str, object]]) -> None:
        """Let the handler answer paths ("*": all others) with status, headers, body or fault (throw, break, stall, trickle)."""
        self._ask("POST", {"plans": plans})

    def hold(self, *paths: str) -> None:
        """Let the answers for these paths wait, and those for all others go on."""
        self._ask("POST", {"held": paths})


class AssetsStub(_Stub):
    """The assets' steering wheel."""

    def __init__(self, runtime: LocalRuntime) -> None:
        super().__init__(runtime, "ASSETS")

    def counts(self) -> Counter[str]:
        """How often each path was asked for."""
        return Counter(self._ask("GET")["counts"])

    def fill(self, files: Mapping[str, bytes]) -> None:
        """Have these files, by their paths, and no others."""
        self._ask("POST", {"files": {path: b64encode(content).decode() for path, content in files.items()}})

    def fail(self, faults: Mapping[str, int | str]) -> None:
        """Let paths ("*": all others) answer with a status, or throw."""
        self._ask("POST", {"faults": faults})

    def hold(self, *, held: bool) -> None:
        """Let all answers wait, or go on."""
        self._ask("POST", {"held": held})


def files_below(folder: Path) -> dict[str, bytes]:
    """The files of a folder by their URL paths."""
    return {f"/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def events(runtime: LocalRuntime, name: str, since: int = 0) -> Sequence[dict[str, Any]]:
    """What the Worker logged under the name of an event, from a line on."""
    parsed = (line.event for line in list(runtime.logs)[since:])
    return [event for event in parsed if event is not None and event.get("event") == name]
