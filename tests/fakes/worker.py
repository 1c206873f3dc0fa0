"""The whole page cache over fakes: a build in the assets, a cache, a page handler, a clock to set."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn

from tests.fakes.assets import FakeAssets
from tests.fakes.flight import FakeFlight
from tests.fakes.kv import InMemoryKV
from tests.fakes.pages import FakePages, FakeResponse
from tests.fakes.ports import START_MS, FakeBackground, FakeClock, FakeLog
from tests.fakes.requests import request

from cache.keys import KeySchema, kv_entry_prefix
from cache.memory import MemoryCacheHandler
from cache.tags import path_tags
from core.body import BytesBody
from core.runtime import Runtime
from isr.answer import CachedAnswer, RuledAnswer, outcome_of, sent_bytes
from isr.assemble import SharedParts, SitePlan
from isr.edge_policy import sealed
from isr.settings import EdgeCache, Settings
from seed.build import Artifact, Build, RouteRecord, artifact_file, shard_file, shard_of, shard_to_json
from seed.rules import STAGES_VERSION
from seed.sources import BuildOpener

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cache.handler import CacheHandler
    from cache.purging import Purger
    from cache.shared_markers import TagObjects
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
    stages=STAGES_VERSION,
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


class NoImages:
    """Image sources of a Worker that leaves images to its page handler."""

    async def local(self, path: str) -> NoReturn:
        raise NotImplementedError

    async def remote(self, url: str) -> NoReturn:
        raise NotImplementedError


@dataclass
class FakeWorker:
    """A Worker with its default settings: KV with memory in front, and leases.

    `assets` hold the build; `handler` is a cache handler of the site's own. One that is `in_memory` has no KV, nor has one with a
    `bucket`, which is R2. A worker that is opened with another's `kv` or handler is another isolate. `purger` is the cache in
    front of it, for which what it answers is sealed as in the entrypoint.
    """

    assets: FakeAssets = field(default_factory=FakeAssets)
    pages: FakePages = field(default_factory=FakePages)
    clock: FakeClock = field(default_factory=FakeClock)
    log: FakeLog = field(default_factory=FakeLog)
    background: FakeBackground = field(default_factory=FakeBackground)
    kv: InMemoryKV | None = None
    bucket: InMemoryKV | None = None
    in_memory: bool = False
    handler: CacheHandler | None = None
    settings: Settings = field(default_factory=Settings)
    tag_objects: TagObjects | None = None
    purger: Purger | None = None

    async def open(self) -> FakeWorker:
        """Assemble the site; raises SeedError if the build cannot be read."""
        self.flight = FakeFlight(self.clock, self.log)
        self.runtime = Runtime(self.flight, self.background, self.clock, self.log, self.clock.sleep)
        self.background.clock = self.clock
        if self.kv is None and self.bucket is None and not self.in_memory:
            self.kv = InMemoryKV(self.clock)
        parts = SharedParts(
            settings=self.settings if self.bucket is None else self.settings.with_bucket(),
            namespace=self.kv,
            bucket=self.bucket,
            page_handler=self.pages,
            image_sources=NoImages(),
            image_transformer=None,
            digest=digest,
            make_body=BytesBody,
            tag_objects=None if (objects := self.tag_objects) is None else lambda *_: objects,
            purger=None if self.settings.edge_cache is EdgeCache.OFF else self.purger,
        )
        self.opener = BuildOpener(self.assets, self.runtime)
        source = await self.opener.open()
        site = SitePlan(parts, source, self.log, self.handler).site(self.settings.app_prefix, self.runtime)
        self.cache = site.entries
        self.store = site.store
        self.site = site.store.build
        self.seeder = site.store._seeder
        self.revalidator = site.revalidator
        self.lease = site.lease
        self.page_cache = site.page_cache
        self.why = site.why
        self.listing = site.listing
        self.regeneration = site.regeneration
        return self

    async def ask(self, url: str, headers: dict[str, str] | None = None, method: str = "GET") -> Got:
        """Answer a request; work in the background goes on."""
        answer = self.last_answer = await self.page_cache.answer(request(url, headers, method))
        self.store.numbers.answered(outcome_of(answer), answer.reason, sent_bytes(answer), 0)
        if self.purger is not None:
            answer = sealed(answer)
        if isinstance(answer, CachedAnswer):
            body = None if answer.body is None else answer.body.to_bytes()
            return Got(answer.status, tuple(answer.headers), body, is_cached=True)
        response = answer.response
        assert isinstance(response, FakeResponse)
        if isinstance(answer, RuledAnswer):
            return _ruled(answer, response)
        replaced = answer.removed | {name.lower() for name, _ in answer.added}
        headers_given = [(name, text) for name, text in response.header_items() if name.lower() not in replaced]
        return Got(response.status, (*headers_given, *answer.added), response.body, is_cached=False)

    @property
    def memory(self) -> MemoryCacheHandler:
        """The cache of a Worker that is `in_memory`."""
        assert isinstance(self.cache, MemoryCacheHandler)
        return self.cache

    @property
    def stored_pages(self) -> list[str]:
        """The keys of the pages in KV."""
        assert self.kv is not None
        return [name for name in self.kv.stored if name.startswith(kv_entry_prefix(self.settings.app_prefix))]

    async def get(self, url: str, headers: dict[str, str] | None = None, method: str = "GET") -> Got:
        """Answer a request, and wait until nothing goes on in the background."""
        got = await self.ask(url, headers, method)
        await self.settle()
        return got

    async def settle(self) -> None:
        assert await self.background.done() == []
        assert not self.flight.cells, "a claim was never released"


def _ruled(answer: RuledAnswer, response: FakeResponse) -> Got:
    body = None if answer.body is None else answer.body.to_bytes()
    age = ("Age", str(answer.age_seconds))
    headers = [(name, text) for name, text in response.header_items() if name.lower() not in answer.removed]
    return Got(304 if answer.is_not_modified else response.status, (*headers, age, *answer.added), body, is_cached=True)


@dataclass(frozen=True)
class Got:
    """What a visitor got."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    is_cached: bool

    def header(self, name: str) -> str | None:
        values = [text for key, text in self.headers if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None

    @property
    def state(self) -> str | None:
        """The cache state, said twice and the same."""
        state = self.header("X-Vinext-Cache")
        assert self.header("x-nextjs-cache") == state
        return state

    @property
    def text(self) -> str:
        return (self.body or b"").decode()
