from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.workerd.builds import copy_as_built_now
from tests.workerd.stubs import PagesStub, events, watched_build
from tests.workerd.visitor import Visitor

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from vinext_worker.project import Project
    from vinext_worker.sites.site_build import SiteBuild


@dataclass(frozen=True)
class ServedExample:
    """The example behind the Worker, in two isolates, with the page handler watched."""

    built: SiteBuild
    runtime: LocalRuntime
    visitor: Visitor
    pages: PagesStub
    has_kv: bool

    @classmethod
    @contextmanager
    def start(
        cls, project: Project, built: SiteBuild, folder: Path, without: frozenset[str], **variables: str
    ) -> Iterator[ServedExample]:
        options = RuntimeOptions(
            config=WranglerConfig.read(project.configuration),
            tools=project.tools,
            services={"PAGES": watched_build(built, folder / "pages")},
            assets_directory=copy_as_built_now(built, folder),
            without=without,
            isolates=2,
            variables=variables,
        )
        with LocalRuntime(options) as runtime:
            yield cls(built, runtime, Visitor(runtime.url), PagesStub(runtime), not without)

    @property
    def direct(self) -> Visitor:
        """Straight to the Worker, where the assets' router does not stand before it."""
        return Visitor(self.runtime.direct_url)

    @property
    def other_isolate(self) -> Visitor:
        return Visitor(self.runtime.urls[1])

    def artifact(self, name: str) -> bytes:
        """What the build wrote."""
        return (self.built.artifacts_directory / name).read_bytes()

    def manifest(self) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads(self.built.manifest.read_text())
        return manifest

    def events(self, name: str) -> Sequence[dict[str, Any]]:
        return events(self.runtime, name)
