"""The whole page cache over fakes: a build in the assets, a cache, a page handler, a clock to set."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tests.fakes.assets import FakeAssets
from tests.fakes.flight import FakeFlight
from tests.fakes.pages import FakePages, FakeResponse
from tests.fakes.ports import START_MS, FakeBackground, FakeClock, FakeLog
from tests.fakes.requests import request

from cache.handler import entry_cache
from cache.keys import KeySchema
from cache.lease import NoLease
from cache.memory import MemoryCacheHandler
from cache.tags import path_tags
from core.runtime import Runtime
from isr.answer import CachedAnswer
from isr.page_cache import PageCache
from isr.revalidator import Regeneration
from isr.site import site_of
from isr.store import PageStore
from seed.build import Artifact, Build, RouteRecord, artifact_file, shard_file, shard_of, shard_to_json
from seed.seeder import Seeder
from seed.sources import BuildOpener

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cache.handler import CacheHandler
    from core.body import Body

BUILD = Build(
    build_id="build-1",
    schema=KeySchema.V2,
    built_at_ms=START_MS,
    trailing_slash=False,
    base_path="",
    rsc_headers={"X-Vinext-RSC-Compatibility-Id": "compatible"},
    index="abc",
    shards=3,
)


def record(  # noqa: PLR0913 - what a route consists of
    path: str,
    html: bytes | None = b"built page",
    rsc: bytes | None = b"built payload",
    *,
    revalidate: float | None = 60,
    expire: float | None = None,
    tags: tuple[str, ...] = (),
    **fields: Any,
) -> tuple[str, RouteRecord, Mapping[str, bytes]]:
    """A route of the build, and its bodies by name."""
    bodies = {Artifact.HTML: html, Artifact.RSC: rsc}
    artifacts = {artifact: hashlib.sha256(body).hexdigest() for artifact, body in bodies.items() if body is not None}
    given = RouteRecord(
        revalidate_seconds=revalidate,
        expire_seconds=expire,
        tags=(*path_tags(KeySchema.V2, path), *tags),
        status=200,
        headers={},
        rsc_headers={},
        artifacts=artifacts,
    )
    contents = {name: bodies[artifact] or b"" for artifact, name in artifacts.items()}
    return path, replace(given, **fields), contents


def copied_build(build: Build, *records: tuple[str, RouteRecord, Mapping[str, bytes]]) -> dict[str, bytes]:
    """The files of a build, as they are copied to the assets."""
    shards: list[dict[str, RouteRecord]] = [{} for _ in range(build.shards)]
    files = {"/__prerender/build.json": build.to_json().encode()}
    for path, given, contents in records:
        shards[shard_of(path, build.shards)][path] = given
        files |= {f"/__prerender/{artifact_file(name)}": body for name, body in contents.items()}
    for number, shard in enumerate(shards):
        files[f"/__prerender/{shard_file(build.index, number)}"] = shard_to_json(shard).encode()
    return files


async def digest(body: Body) -> str:
    return hashlib.sha256(body.to_bytes()).hexdigest()[:32]


@dataclass
class FakeWorker:
    """`assets` hold the build; a worker that is made with another's cache handler is another isolate."""

    assets: FakeAssets = field(default_factory=FakeAssets)
    pages: FakePages = field(default_factory=FakePages)
    clock: FakeClock = field(default_factory=FakeClock)
    log: FakeLog = field(default_factory=FakeLog)
    background: FakeBackground = field(default_factory=FakeBackground)
    flight: FakeFlight = field(default_factory=FakeFlight)
    handler: CacheHandler | None = None
    build_id: str | None = None
    schema: KeySchema | None = None

    async def open(self) -> FakeWorker:
        """Make the page cache; raises SeedError where the build cannot be read."""
        self.runtime = Runtime(self.flight, self.background, self.clock, self.log)
        self.opener = BuildOpener(self.assets, self.runtime)
        source = await self.opener.open()
        memory = MemoryCacheHandler(100_000_000, self.clock, log=self.log)
        self.cache: CacheHandler = memory if self.handler is None else self.handler
        self.site = site_of(source.build if source else None, self.build_id, self.schema)
        self.seeder = Seeder(source, entry_cache(self.cache), self.runtime)
        self.store = PageStore(self.site, self.cache, self.seeder, digest, self.runtime)
        self.regeneration = Regeneration(self.site, self.store, self.pages, NoLease(), self.runtime)
        self.page_cache = PageCache(self.site, self.store, self.pages, self.regeneration, self.runtime)
        return self

    async def ask(self, url: str, headers: dict[str, str] | None = None, method: str = "GET") -> Got:
        """Answer a request; work in the background goes on."""
        answer = await self.page_cache.answer(request(url, headers, method))
        if isinstance(answer, CachedAnswer):
            body = None if answer.body is None else answer.body.to_bytes()
            return Got(answer.status, tuple(answer.headers), body, is_cached=True)
        response = answer.response
        assert isinstance(response, FakeResponse)
        headers_given = [(name, text) for name, text in response.header_items() if name.lower() not in answer.removed]
        return Got(response.status, (*headers_given, *answer.added), response.body, is_cached=False)

    @property
    def memory(self) -> MemoryCacheHandler:
        """The cache, where it is one in memory."""
        assert isinstance(self.cache, MemoryCacheHandler)
        return self.cache

    async def get(self, url: str, headers: dict[str, str] | None = None, method: str = "GET") -> Got:
        """Answer a request, and wait until nothing goes on in the background."""
        got = await self.ask(url, headers, method)
        await self.settle()
        return got

    async def settle(self) -> None:
        assert await self.background.done() == []
        assert not self.flight.cells, "a claim was never released"


@dataclass(frozen=True)
class Got:
    """What a visitor got."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    is_cached: bool

    def header(self, name: str) -> str | None:
        found = [text for key, text in self.headers if key.lower() == name.lower()]
        assert len(found) <= 1, f"{name} came {len(found)} times"
        return found[0] if found else None

    @property
    def state(self) -> str | None:
        """The cache state, said twice and the same."""
        state = self.header("X-Vinext-Cache")
        assert self.header("x-nextjs-cache") == state
        return state

    @property
    def text(self) -> str:
        return (self.body or b"").decode()
