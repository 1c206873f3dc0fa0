"""The build whose pages are served: its own properties, unless a setting overrides them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cache.keys import KeySchema
from seed.build import artifact_key
from seed.pages_router import ROUTER
from seed.rules import STAGES_VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seed.build import Build
    from seed.i18n import I18n
    from seed.rules import Rule


@dataclass(frozen=True)
class ServedBuild:
    """The build whose pages are served. Its ID is part of every key, so a deploy begins with an empty cache.

    `rsc_headers` are the build's headers without which vinext's client rejects an RSC payload, empty if they are not known.
    `rules` are the app's that come before its page cache; where it `has_stages`, its request stage applies them.
    `has_adapter`: the adapter's Worker entry renders the pages, and says by headers of its own what the app has invalidated.
    With `takes_upgrades` a page's URL may also be a WebSocket's. With `has_next_urls` URLs are as in Next.js: a page is the same
    whatever its query, and of its forms with and without a slash at the end one leads to the other.
    `app_build_id` is the ID that the app itself knows, None if its answers do not tell theirs.
    `dynamic_paths`, `draft_digest`, `routers`, `i18n`, `static_files` and `static_folders` are as in `seed.build.Build`.
    """

    build_id: str | None
    schema: KeySchema
    trailing_slash: bool
    base_path: str = ""
    rsc_headers: Mapping[str, str] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    has_stages: bool = False
    has_adapter: bool = False
    app_build_id: str | None = None
    dynamic_paths: frozenset[str] = frozenset()
    draft_digest: str = ""
    routers: tuple[str, ...] = ("app",)
    i18n: I18n | None = None
    takes_upgrades: bool = True
    has_next_urls: bool = True
    static_files: frozenset[str] = frozenset()
    static_folders: tuple[str, ...] = ()

    def is_file(self, url_path: str) -> bool:
        """Return whether the assets serve a URL path: a file of the site that the build names, or one of the build's own."""
        return url_path in self.static_files or url_path.startswith(self.static_folders)

    @property
    def has_pages_router(self) -> bool:
        """Whether the site has pages of the Pages Router."""
        return ROUTER in self.routers

    @property
    def has_rsc_payloads(self) -> bool:
        """Whether pages have RSC payloads: those of the App Router have."""
        return self.has_next_urls and "app" in self.routers

    @property
    def completes_rsc_payloads(self) -> bool:
        """Whether RSC payloads can be stored without their headers, which are added to each answer (`isr.rsc_headers`)."""
        return bool(self.rsc_headers)

    def key(self, path: str, part: str) -> str:
        """Return the cache key of an artifact, or of a variant of one; `path` is one of `normalize_path`."""
        return artifact_key(self.schema, self.build_id, path, part, self.i18n)


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
        has_stages=build.stages == STAGES_VERSION,
        has_adapter=build.stages > 0,
        app_build_id=build.build_id if build.stages > 0 else None,
        dynamic_paths=frozenset(build.dynamic_paths),
        draft_digest=build.draft_digest,
        routers=build.routers,
        i18n=build.i18n,
        static_files=frozenset(build.static_files),
        static_folders=build.static_folders,
    )
