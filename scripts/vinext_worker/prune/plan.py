"""Which builds go. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

# app:<build>:/path:html, pages:v2:<build>:__hash:…, app-fallback-shell:v1:<build>:/[slug]:html (see cache.keys). A build of
# schema v1 that is called v2 cannot be told from none of schema v2, and counts as none.
_KEY = re.compile(r"(?:(?:app|pages)(?::v2|(?!:v2:/|:v2:__hash:))|app-fallback-shell:v1):(?P<build>[^/]+?):(?=/|__hash:)")


@dataclass(frozen=True, slots=True)
class StoredBuild:
    """A build that has entries. `oldest_ms` is the oldest time among those that were looked at, None where none could be read.

    Every entry of a build is as old as the build at most, so one entry that is older than the current build proves it older.
    """

    build_id: str
    entries: int
    oldest_ms: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done with each build; `kept` has the reasons."""

    removed: tuple[StoredBuild, ...]
    kept: tuple[tuple[StoredBuild, str], ...]


def plan_prune(builds: Collection[StoredBuild], current_id: str, current_ms: int, keep: int) -> Plan:
    """Remove all builds that are older than the current one but the newest `keep - 1` of them.

    What cannot be proven to be older stays.
    """
    kept: list[tuple[StoredBuild, str]] = []
    older: list[tuple[int, StoredBuild]] = []
    for build in builds:
        if build.build_id == current_id:
            kept.append((build, "the current build"))
        elif build.oldest_ms is None:
            kept.append((build, "its age cannot be read"))
        elif build.oldest_ms >= current_ms:
            kept.append((build, "nothing in it is older than the current build"))
        else:
            older.append((build.oldest_ms, build))
    older.sort(key=lambda item: -item[0])
    kept += [(build, "one of the newest") for _, build in older[: keep - 1]]
    return Plan(tuple(build for _, build in older[keep - 1 :]), tuple(kept))


def key_build(key: str) -> str | None:
    """The build that a cache key names; None where it names none, such as one of the data cache."""
    match = _KEY.match(key)
    return match["build"] if match else None
