"""What holds for every page that is being served: the build's word, or the settings'."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cache.keys import KeySchema, page_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seed.build import Artifact, Build


@dataclass(frozen=True)
class Site:
    """The build whose pages are served. Its ID is part of every key, so a deploy starts anew.

    `rsc_headers` are those of the build without which vinext's client rejects an RSC payload; none where they are not known.
    """

    build_id: str | None
    schema: KeySchema
    trailing_slash: bool
    base_path: str = ""
    rsc_headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def completes_payloads(self) -> bool:
        """Whether RSC payloads can be kept without their headers (`isr.client_headers`)."""
        return bool(self.rsc_headers)

    def key(self, path: str, artifact: Artifact) -> str:
        """The cache key of an artifact; `path` is one of `normalize_path`."""
        return page_key(self.schema, self.build_id, path, artifact.value)


def site_of(build: Build | None, build_id: str | None, schema: KeySchema | None) -> Site:
    """The site of a build. A build ID or a schema from the settings wins over the build's."""
    if build is None:
        return Site(build_id, schema or KeySchema.V2, trailing_slash=False)
    rsc_headers = build.rsc_headers if build_id in {None, build.build_id} else {}
    return Site(build_id or build.build_id, schema or build.schema, build.trailing_slash, build.base_path, rsc_headers)
