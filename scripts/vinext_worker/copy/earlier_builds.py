"""The static files of earlier builds, which stay in the assets: a page in an open tab goes on asking for those of its build."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from core.paths import PRERENDER_FOLDER
from vinext_worker.sites.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

KEPT_BUILDS = 2
STATIC_FILES = "static-files.json"
_FILE = f"{PRERENDER_FOLDER}/{STATIC_FILES}"


@dataclass(frozen=True)
class StaticFiles:
    """A build's files in its static folders, whose names have a hash in them, by their names in the assets.

    `is_begun`: a deploy of it has begun, so it is in somebody's tab perhaps. `is_deployed`: that has succeeded.
    """

    build_id: str
    files: tuple[str, ...]
    is_deployed: bool = False
    is_begun: bool = False


@dataclass(frozen=True)
class EarlierBuilds:
    """The builds whose static files are in the assets, the newest first. They are noted there, where nobody can read them."""

    builds: tuple[StaticFiles, ...] = ()

    @classmethod
    def read(cls, assets: Path) -> EarlierBuilds:
        """Return what a folder of assets notes; nothing if it notes nothing that can be read."""
        try:
            rows = json.loads((assets / _FILE).read_bytes())["builds"]
            return cls(tuple(map(_read, rows)))
        except (OSError, ValueError, KeyError, TypeError):
            return cls()

    def write(self, assets: Path) -> bool:
        """Note the builds in a folder of assets; return whether that has changed anything."""
        text = json.dumps({"builds": [asdict(build) for build in self.builds]}, indent=1)
        return write_atomically(assets / _FILE, text.encode())

    def followed_by(self, build_id: str, files: Iterable[str], kept: int) -> EarlierBuilds:
        """Return these builds after one that is copied, of which `kept` earlier ones stay.

        Builds that `deploy` has deployed stay before others: a build that never was live is in nobody's tab. As many of which
        nobody knows whether they were live stay beside them.
        """
        new = StaticFiles(build_id, tuple(sorted(files)))
        current = next((replace(build, files=new.files) for build in self.builds if build.build_id == build_id), new)
        earlier = [build for build in self.builds if build.build_id != build_id]
        deployed = [build for build in earlier if build.is_deployed]
        perhaps = [build for build in earlier if build.is_begun and not build.is_deployed]
        stay = [*deployed[:kept], *perhaps[:kept]] or earlier[:kept]
        return EarlierBuilds((current, *(build for build in earlier if build in stay)))

    def begun(self) -> EarlierBuilds:
        """Return these builds, of which the newest is being deployed."""
        return self._with_newest(is_deployed=False)

    def deployed(self) -> EarlierBuilds:
        """Return these builds, of which the newest is deployed."""
        return self._with_newest(is_deployed=True)

    def _with_newest(self, *, is_deployed: bool) -> EarlierBuilds:
        newest = (replace(build, is_begun=True, is_deployed=is_deployed or build.is_deployed) for build in self.builds[:1])
        return EarlierBuilds((*newest, *self.builds[1:]))

    def names(self) -> frozenset[str]:
        """Return the names of all files."""
        return frozenset(name for build in self.builds for name in build.files)


def _read(row: dict[str, Any]) -> StaticFiles:
    """Read a row; those that an older `copy` has written lack `is_begun`."""
    return StaticFiles(row["build_id"], tuple(row["files"]), bool(row["is_deployed"]), bool(row.get("is_begun")))
