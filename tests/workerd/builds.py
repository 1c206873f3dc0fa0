"""Builds to serve: the example's, recorded ones, and small ones that a test makes up."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from tests.workerd.stubs import AssetsStub, PagesStub

from core.paths import PRERENDER_FOLDER
from seed.build import BUILD_FILE
from seed.routing import ROUTING_NAME
from seed.rules import STAGES_VERSION
from vinext_worker.copy.build_copy import copy_build
from vinext_worker.sites.site_build import SiteBuild

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from vinext_worker.local_runtime import LocalRuntime

LARGE = "".join(f"<p>{number} é" for number in range(100_000))

KEPT = {"headers": {"Cache-Control": "s-maxage=60", "Content-Type": "text/html"}}

_numbers = count(1)


def copy_as_built_now(built: SiteBuild, folder: Path) -> Path:
    """Copy a build whose time is that of its manifest, as if it had been built just now; return the assets' folder."""
    server = folder / "server"
    server.mkdir(parents=True, exist_ok=True)
    for source in (built.manifest, *map(built.manifest.with_name, ("RSC_BUILD_ID", ROUTING_NAME))):
        if source.is_file():
            shutil.copyfile(source, server / source.name)
    copy_build(replace(built, manifest=server / built.manifest.name), folder / "assets")
    return folder / "assets"


def recorded_build(folder: Path, version: str) -> SiteBuild:
    """A build that was kept as a fixture; it has no static files."""
    client = folder / "no-client"
    return SiteBuild(
        folder, version, folder / "wrangler.json", client, folder / "vinext-prerender.json", folder / "prerendered-routes"
    )


@dataclass
class SmallBuild:
    """A build made up: rows of a manifest, and their artifacts. Each has a build ID of its own.

    The adapter has made it. Unless its routing file names the stages, their version is one that the Worker does not speak.
    """

    folder: Path
    build_id: str = field(default_factory=lambda: f"small-{next(_numbers)}")
    rows: list[dict[str, Any]] = field(default_factory=list)

    def page(self, path: str, text: str = "", **row: object) -> None:
        """Add a page; its artifacts say `built <path>`, unless `text` is given, and `built payload <path>`."""
        self.rows.append({"route": path, "status": "rendered", "router": "app", "revalidate": False, **row})
        name = "index" if path == "/" else path[1:]
        artifacts = self.folder / "prerendered-routes"
        (artifacts / name).parent.mkdir(parents=True, exist_ok=True)
        (artifacts / f"{name}.html").write_text(text or f"built {path}")
        (artifacts / f"{name}.rsc").write_text(f"built payload {path}")

    def copy(self) -> dict[str, bytes]:
        """The assets that `vinext-worker copy` makes of it, by URL path."""
        manifest: Mapping[str, object] = {
            "buildId": self.build_id,
            "trailingSlash": False,
            "routes": self.rows,
            "pregeneratedConcretePaths": [],
        }
        (self.folder / "vinext-prerender.json").write_text(json.dumps(manifest))
        copy_build(recorded_build(self.folder, "1.4.0"), self.folder / "assets")
        assets = self.folder / "assets"
        description = assets / PRERENDER_FOLDER / BUILD_FILE
        document = json.loads(description.read_text())
        description.write_text(json.dumps({**document, "stages": document["stages"] or STAGES_VERSION + 1}))
        return {
            f"/{path.relative_to(assets).as_posix()}": path.read_bytes() for path in sorted(assets.rglob("*")) if path.is_file()
        }


def large_and_small(runtime: LocalRuntime, folder: Path) -> SmallBuild:
    """Give a runtime with stubs a build of one page; the page handler has LARGE at `/large`, a letter at `/small`."""
    made = SmallBuild(folder)
    made.page("/page")
    AssetsStub(runtime).fill(made.copy())
    PagesStub(runtime).plan_for({"/large": {**KEPT, "body": LARGE}, "/small": {**KEPT, "body": "é"}, "*": KEPT})
    return made
