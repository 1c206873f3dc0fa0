"""The build whose pages are served: its own properties, unless a setting overrides them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cache.keys import KeySchema, page_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seed.build import Artifact, Build
    from seed.rules import Rule


@dataclass(frozen=True)
class ServedBuild:
    """The build whose pages are served. Its ID is part of every key, so a deploy begins with an empty cache.

    `rsc_headers` are the build's headers without which vinext's client rejects an RSC payload, empty if they are not known.
    `rules` are the app's that come before its page cache.
    """

    build_id: str | None
    schema: KeySchema
    trailing_slash: bool
    base_path: str = ""
    rsc_headers: Mapping[str, str] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()

    @property
    def completes_rsc_payloads(self) -> bool:
        """Whether RSC payloads can be stored without their headers, which are added to each answer (`isr.rsc_headers`)."""
        return bool(self.rsc_headers)

    def key(self, path: str, artifact: Artifact) -> str:
        """Return the cache key of an artifact; `path` is one of `normalize_path`."""
        return page_key(self.schema, self.build_id, path, artifact.value)


def served_build(build: Build | None, build_id: str | None, schema: KeySchema | None) -> ServedBuild:
    """Return the build that is served, if there is one. A build ID or a schema from the settings overrides its own."""
    if build is None:
        return ServedBuild(build_id, schema or KeySchema.V2, trailing_slash=False)
    rsc_headers = build.rsc_headers if build_id in {None, build.build_id} else {}
    return ServedBuild(
        build_id=build_id or build.build_id,
        schema=schema or build.schema,
        trailing_slash=build.trailing_slash,
        base_path=build.base_path,
        rsc_headers=rsc_headers,
        rules=build.rules,
    )
