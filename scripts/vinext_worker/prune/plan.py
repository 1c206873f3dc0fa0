"""The choice of builds to remove. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True, slots=True)
class StoredBuild:
    """A build that has entries. `oldest_ms` is the oldest time in a sample of them, None if none could be read.

    No entry is older than its build. So an entry that is older than the current build proves that its build is older, too.
    """

    build_id: str
    entries: int
    oldest_ms: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The builds to remove, and the builds to keep with the reasons."""

    removed: tuple[StoredBuild, ...]
    kept: tuple[tuple[StoredBuild, str], ...]


def plan_prune(builds: Collection[StoredBuild], current_id: str, current_ms: int, keep: int) -> Plan:
    """Choose all builds that are older than the current one, except the newest `keep - 1` of them.

    A build that cannot be proven to be older is kept.
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
