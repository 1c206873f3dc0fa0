"""Real builds of vinext, as the tools of a deploy see them."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.fakes.assets import FakeAssets

from cache.keys import KeySchema
from core.paths import PRERENDER_FOLDER
from seed.manifest import parse_manifest, skip_reason
from seed.routing import ROUTING_NAME
from vinext_worker.copy.build_copy import copy_build
from vinext_worker.sites.site_build import SiteBuild

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seed.manifest import Manifest, Route

VINEXT = Path(__file__).parents[1] / "fixtures" / "vinext"
VERSIONS = ("0.0.38", "1.4.0")
SCHEMAS = {"0.0.38": KeySchema.V1, "1.4.0": KeySchema.V2}
BUILT_AT_MS = 1_795_188_000_000
RSC_BUILD_ID = "e89ebdb8010baff90f4c5eccf960d75e"


@cache
def dump(version: str, name: str) -> Any:
    return json.loads((VINEXT / version / f"{name}.json").read_bytes())


@cache
def manifest(version: str) -> Manifest:
    return parse_manifest((VINEXT / version / "vinext-prerender.json").read_bytes(), "the manifest")


def seedable(version: str) -> list[Route]:
    return [route for route in manifest(version).routes if skip_reason(route, SCHEMAS[version]) is None]


def file_of(version: str, name: str) -> bytes:
    return (VINEXT / version / "prerendered-routes" / name).read_bytes()


def real_build(version: str, root: Path) -> SiteBuild:
    """A build's folders, with the artifacts where they are."""
    server = root / "dist" / "server"
    client = root / "dist" / "client"
    server.mkdir(parents=True)
    client.mkdir()
    (client / "hello.txt").write_bytes(b"hello")
    (server / "RSC_BUILD_ID").write_text(f"{RSC_BUILD_ID}\n")
    shutil.copy(VINEXT / version / "vinext-prerender.json", server)
    set_built_at(server / "vinext-prerender.json")
    return built_site(root, VINEXT / version / "prerendered-routes")


def written_build(root: Path, document: Mapping[str, object] | bytes, artifacts: Mapping[str, bytes]) -> SiteBuild:
    """A build with a manifest and artifacts of a test."""
    folder = root / "dist" / "server" / "prerendered-routes"
    folder.mkdir(parents=True, exist_ok=True)
    (root / "dist" / "client").mkdir(exist_ok=True)
    for name, content in artifacts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    (folder.parent / "vinext-prerender.json").write_bytes(text)
    set_built_at(folder.parent / "vinext-prerender.json")
    return built_site(root, folder)


def built_site(root: Path, artifacts: Path) -> SiteBuild:
    server = root / "dist" / "server"
    return SiteBuild(
        root, "1.4.0", server / "wrangler.json", root / "dist" / "client", server / "vinext-prerender.json", artifacts
    )


def set_built_at(file: Path, at_ms: int = BUILT_AT_MS) -> None:
    os.utime(file, (at_ms / 1000, at_ms / 1000))


def copied(version: str, root: Path) -> FakeAssets:
    """The assets of a real build that was copied."""
    copy_build(real_build(version, root), root / "assets")
    return FakeAssets(folder=root / "assets")


def plain(version: str) -> FakeAssets:
    """The assets of a real build whose `dist/server` was put there as it is."""
    folder = VINEXT / version / "prerendered-routes"
    files = {f"/{PRERENDER_FOLDER}/{file.relative_to(folder).as_posix()}": file.read_bytes() for file in folder.rglob("*.*")}
    rules = {"version": 1, "buildId": manifest(version).build_id, "rules": [], "headers": {"sets": [], "paths": {}}}
    files[f"/{PRERENDER_FOLDER}/vinext-prerender.json"] = (folder.parent / "vinext-prerender.json").read_bytes()
    files[f"/{PRERENDER_FOLDER}/{ROUTING_NAME}"] = json.dumps(rules).encode()
    return FakeAssets(files)


@dataclass(frozen=True)
class Reference:
    """What vinext's own server answered."""

    name: str
    method: str
    path: str
    request_headers: dict[str, str]
    status: int
    headers: dict[str, str]


def references(version: str, name: str) -> list[Reference]:
    rows = dump(version, name)["responses"]
    return [
        Reference(
            row["name"],
            row["method"],
            row["path"],
            row["requestHeaders"],
            row["status"],
            {key.lower(): text for key, text in row["headers"]},
        )
        for row in rows
    ]
