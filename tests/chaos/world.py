"""A deployment under load and faults: isolates with clocks of their own, tenants in one namespace, visitors, and who edits."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tests.chaos.faults import RATES, Faults, Kind
from tests.chaos.judge import ASKED_EACH_SECONDS, LONGEST_ANSWER_SECONDS, Judge, Received
from tests.chaos.objects import Objects
from tests.chaos.runtime import BACKGROUND_SECONDS, START_MS, Background, CountingLog, IsolateClock, RequestContext, now
from tests.chaos.site import Invalidated, PageKind, Renderer, Site, StagedPages, WholePages
from tests.chaos.storage import LAG_SECONDS, Assets, DataCentre, Location
from tests.fakes.flight import FakeFlight
from tests.fakes.kv import InMemoryKV
from tests.fakes.pages import FakeResponse
from tests.fakes.r2 import InMemoryR2
from tests.fakes.requests import request
from tests.fakes.worker import BUILD, NoImages, copied_build, digest, record

from cache.keys import kv_tag_key
from cache.kv_record import TTLPolicy
from cache.stored import Layout
from core.body import BytesBody
from core.runtime import Runtime
from isr.answer import CachedAnswer, RuledAnswer
from isr.assemble import SharedParts, SitePlan
from isr.settings import Settings
from seed.rules import STAGES_VERSION
from seed.sources import BuildOpener

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tests.chaos.judge import Seen
    from tests.chaos.site import Page

    from isr.answer import Answer
    from isr.assemble import SiteServer
    from seed.build import Build

TENANTS = ("a", "b")
PAGES_OF_A_KIND = 4
REQUESTS_A_SECOND = 60
BETWEEN_OUTAGES_SECONDS = (200, 600)
OUTAGE_SECONDS = (60, 300)
LISTED_AT_ONCE = 20
KV_BODY_BYTES = 120
"""With R2 behind KV: about half of the bodies are larger."""
LAST_WRITES_SECONDS = 60
"""After the last fault: as long as an isolate may wait to say that an invalidation is lost."""
CALM_SECONDS = 75
"""After the last fault: as long as locations may show what is old, and markers may be remembered."""
ASKED_AGAIN_SECONDS = 75


@dataclass(frozen=True)
class Setup:
    """One way to deploy."""

    name: str
    layout: Layout = Layout.VINEXT
    memory_bytes: int = 0
    has_kv: bool = True
    has_r2: bool = False
    has_region: bool = False
    has_objects: bool = False
    in_stages: bool = False
    skew_ms: int = 0
    """How far the clocks of the isolates are apart."""

    @property
    def isolates(self) -> int:
        # Without a store, no isolate knows of another.
        return 3 if self.has_store else 1

    @property
    def has_store(self) -> bool:
        return self.has_kv or self.has_r2

    @property
    def lag_seconds(self) -> float:
        """How long the store may show what is old. R2 alone shows each write at once."""
        return LAG_SECONDS if self.has_kv else 0

    @property
    def operations(self) -> set[str]:
        """What may go wrong."""
        absent = {"kv": not self.has_kv, "r2": not self.has_r2, "region": not self.has_region, "object": not self.has_objects}
        return {operation for operation in RATES if not absent.get(operation.partition(" ")[0], False)}


SETUPS = [
    Setup("vinext layout", skew_ms=400),
    Setup("vinext layout, memory", memory_bytes=2_000_000, skew_ms=400),
    Setup("framed layout", Layout.FRAMED),
    Setup("framed layout, memory", Layout.FRAMED, 200_000, skew_ms=400),
    Setup("memory alone", has_kv=False, memory_bytes=2_000_000),
    Setup("in stages, memory", Layout.FRAMED, 2_000_000, in_stages=True),
    Setup("in stages, vinext layout", in_stages=True, skew_ms=400),
    Setup("R2, a region", Layout.FRAMED, has_kv=False, has_r2=True, has_region=True, skew_ms=400),
    Setup("KV and R2, memory", Layout.FRAMED, 200_000, has_r2=True),
    Setup("objects, a region, memory", Layout.FRAMED, 200_000, has_region=True, has_objects=True, skew_ms=400),
    Setup("R2, objects", Layout.FRAMED, has_kv=False, has_r2=True, has_objects=True),
]


@dataclass(frozen=True)
class Stores:
    """The stores as one isolate sees them."""

    namespace: Location | None
    bucket: Location | None
    region: DataCentre | None


@dataclass
class Isolate:
    """The servers of the tenants in one isolate, and what it sees of the stores."""

    number: int
    servers: Mapping[str, SiteServer]
    stores: Stores


@dataclass
class World:
    """A run: `play` it, then ask `judge`."""

    setup: Setup
    seed: int
    requests_a_second: float = REQUESTS_A_SECOND
    between_outages_seconds: tuple[float, float] = BETWEEN_OUTAGES_SECONDS
    judge: Judge = field(init=False)
    log: CountingLog = field(default_factory=CountingLog)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - it is to be repeated
        self._outages = random.Random(self.seed + 2)  # noqa: S311
        self.faults = Faults(random.Random(self.seed + 1), RATES)  # noqa: S311
        self.sites = {tenant: Site.of(tenant, PAGES_OF_A_KIND) for tenant in TENANTS}
        self.judge = Judge(self.sites, self.setup)
        self._isolates: list[Isolate] = []
        self._objects: dict[str, Objects] = {}
        self._alarms: list[asyncio.Future[None]] = []
        self._running: set[asyncio.Task[Any]] = set()

    async def play(self, requests: int) -> None:
        """Send requests under faults, then let everything settle without any, and ask for each page until it is as it must be."""
        await self._open()
        working = [asyncio.ensure_future(work) for work in (self._edit(), self._break_stores(), self._read_log())]
        for _ in range(requests):
            await asyncio.sleep(self._random.expovariate(self.requests_a_second))
            self._begin(self._any_request())
        editing, breaking, reading = working
        editing.cancel()
        breaking.cancel()
        self.faults.is_calm = True
        await self._settle()
        reading.cancel()
        await asyncio.sleep(CALM_SECONDS)
        for second in range(0, ASKED_AGAIN_SECONDS, ASKED_EACH_SECONDS):
            await asyncio.sleep(ASKED_EACH_SECONDS)
            for isolate in self._isolates:
                for tenant, site in self.sites.items():
                    for path in site.pages:
                        is_last = second == ASKED_AGAIN_SECONDS - ASKED_EACH_SECONDS
                        self._begin(Visit(isolate, tenant, path, is_last=is_last))
        await asyncio.sleep(CALM_SECONDS)
        self.judge.count_unanswered()
        for alarm in self._alarms:
            alarm.cancel()

    async def _open(self) -> None:
        setup, clock = self.setup, IsolateClock()
        kv = InMemoryKV(clock, one_write_a_second=True, page_size=LISTED_AT_ONCE)
        r2 = InMemoryR2(clock, one_write_a_second=True, page_size=LISTED_AT_ONCE)
        regions = [DataCentre(clock, self.faults) for _ in range(2)]
        if setup.has_objects:
            self._objects = {tenant: Objects(clock, has_kv=setup.has_kv, faults=self.faults) for tenant in self.sites}

        async def isolate(number: int, memory_bytes: int) -> Isolate:
            skewed = IsolateClock(int(setup.skew_ms * number / max(1, setup.isolates - 1)))
            parts = Stores(
                Location(kv, self.faults) if setup.has_kv else None,
                Location(r2, self.faults, "r2", 0) if setup.has_r2 else None,
                regions[number // 2] if setup.has_region else None,
            )
            return Isolate(
                number, {tenant: await self._server(tenant, skewed, parts, memory_bytes) for tenant in self.sites}, parts
            )

        for number in range(setup.isolates):
            self._isolates.append(await isolate(number, setup.memory_bytes))
        if setup.has_objects:
            # The objects regenerate pages in isolates of their own, and keep none in memory.
            theirs = await isolate(0, 0)
            for tenant, objects in self._objects.items():
                again = theirs.servers[tenant].revalidator.again
                self._alarms.append(asyncio.ensure_future(objects.ring(theirs.stores.namespace, again)))

    async def _server(self, tenant: str, clock: IsolateClock, stores: Stores, memory_bytes: int) -> SiteServer:
        site = self.sites[tenant]
        runtime = Runtime(FakeFlight(clock, self.log), Background(self.log), clock, self.log)
        renderer = Renderer(site, self.faults)
        pages = StagedPages(renderer) if self.setup.in_stages else WholePages(renderer)
        settings = Settings(
            app_prefix=tenant,
            kv_layout=self.setup.layout,
            kv_ttl=TTLPolicy.THIRTY_DAYS,
            kv_body_bytes=KV_BODY_BYTES,
            memory_bytes=memory_bytes,
        )
        objects = self._objects.get(tenant)
        parts = SharedParts(
            settings=settings,
            namespace=stores.namespace,
            bucket=stores.bucket,
            tag_objects=None if objects is None else lambda _prefix, _shards: objects,
            page_handler=pages,
            image_sources=NoImages(),
            image_transformer=None,
            digest=digest,
            make_body=BytesBody,
        )
        build = replace(BUILD, build_id=f"build-{tenant}", built_at_ms=START_MS, stages=STAGES_VERSION)
        assets = Assets(self._files(site, build), self.faults)
        self.faults.is_calm = True
        source = await BuildOpener(assets, runtime).open()
        self.faults.is_calm = False
        return SitePlan(parts, source, self.log).site(tenant, runtime, stores.region)

    def _files(self, site: Site, build: Build) -> dict[str, bytes]:
        built = [page for page in site.pages.values() if page.kind in {PageKind.PERIOD, PageKind.FOREVER}]
        return copied_build(
            build,
            *(
                record(
                    page.path,
                    site.content(page, "html"),
                    site.content(page, "rsc"),
                    revalidate=5 if page.kind is PageKind.PERIOD else None,
                    expire=30 if page.expires else None,
                    tags=(page.tag,),
                )
                for page in built[::2]
            ),
        )

    def _any_request(self) -> Visit:
        chance = self._random.random
        isolate = self._random.choice(self._isolates)
        tenant = self._random.choice(TENANTS)
        pages = list(self.sites[tenant].pages)
        path = pages[min(int(self._random.expovariate(0.08)), len(pages) - 1)]
        headers = {}
        if chance() < 0.1:
            headers["Cookie"] = f"visitor-{self._random.randrange(1000)}"
        if chance() < 0.05:
            headers["If-None-Match"] = '"none of them"'
        is_rsc = self.sites[tenant].pages[path].kind is not PageKind.ROUTE and chance() < 0.15
        method = "HEAD" if chance() < 0.03 else "GET"
        return Visit(isolate, tenant, path, is_rsc=is_rsc, headers=headers, method=method)

    def _begin(self, visit: Visit) -> Seen:
        context = RequestContext()
        if self.faults.draw("request") is Kind.ENDS:
            asyncio.get_running_loop().call_later(self._random.uniform(0, 3), context.end)
            visit = replace(visit, may_vanish=True)
        seen = self.judge.begin(visit.tenant, visit.path, visit.isolate.number, may_vanish=visit.may_vanish)
        seen.is_last, seen.is_rsc, seen.visitor = visit.is_last, visit.is_rsc, visit.headers.get("Cookie")
        seen.has_body = visit.method == "GET"
        self._keep(context.start(self._visit(visit, seen, context)))
        return seen

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _visit(self, visit: Visit, seen: Seen, context: RequestContext) -> None:
        url = f"{visit.path}.rsc" if visit.is_rsc else visit.path
        asked = request(url, dict(visit.headers), visit.method, f"https://{visit.tenant}.example")
        try:
            answer = await visit.isolate.servers[visit.tenant].page_cache.answer(asked)
        except Exception as error:  # noqa: BLE001 - the judge's to see
            self.judge.raised(seen, error)
        else:
            self.judge.answered(seen, _received(answer))
        asyncio.get_running_loop().call_later(BACKGROUND_SECONDS, context.end)

    async def _edit(self) -> None:
        """Change pages, and say so as an editor does: where it is reported as failed, again."""
        while True:
            await asyncio.sleep(self._random.expovariate(0.8))
            site = self.sites[self._random.choice(TENANTS)]
            page = self._random.choice([page for page in site.pages.values() if page.kind is not PageKind.DYNAMIC])
            is_busy = self._random.random() < 0.1
            for _ in range(20 if is_busy else 1):
                page.versions.append(now())
                isolate = self._random.choice(self._isolates)
                drawn = self._random.random()
                how = self._post if drawn < 0.3 else self._invalidate_below if drawn < 0.4 else self._invalidate
                self._keep(asyncio.ensure_future(how(site, isolate, page)))
                await asyncio.sleep(0.1)

    async def _post(self, site: Site, isolate: Isolate, page: Page) -> None:
        """Have the app invalidate a page, and again if it does not answer."""
        seen = self._begin(Visit(isolate, site.tenant, page.path, method="POST"))
        await asyncio.sleep(LONGEST_ANSWER_SECONDS)
        if not self.judge.has_answer(seen):
            await self._post(site, isolate, page)

    async def _invalidate(self, site: Site, isolate: Isolate, page: Page) -> None:
        version, begun_at = page.version, now()
        await self._confirmed(lambda: isolate.servers[site.tenant].store.revalidate_tags((page.tag,)))
        objects = self._objects.get(site.tenant)
        is_noted = objects is not None and objects.noted.get(page.tag, -1) >= begun_at
        page.invalidations.append(Invalidated(isolate.number, now(), version, is_noted))

    async def _invalidate_below(self, site: Site, isolate: Isolate, page: Page) -> None:
        folder = page.path.rpartition("/")[0]
        below = [(each, each.version) for each in site.pages.values() if each.path.startswith(f"{folder}/")]
        await self._confirmed(lambda: isolate.servers[site.tenant].store.revalidate_path_prefix(folder))
        for each, version in below:
            each.invalidations.append(Invalidated(isolate.number, now(), version))

    async def _confirmed(self, invalidate: Callable[[], Awaitable[tuple[str, ...]]]) -> None:
        """Invalidate until that has succeeded, and KV has taken it."""
        pause = 2
        while True:
            try:
                unwritten = await invalidate()
            except Exception:  # noqa: BLE001 - whoever invalidates is told, and tries again
                self.judge.counts["invalidations that failed and were said to"] += 1
            else:
                if not unwritten:
                    return
                self.judge.counts["invalidations that were said to be unwritten"] += 1
            await asyncio.sleep(pause)
            pause = min(60, 2 * pause)

    async def _break_stores(self) -> None:
        """Let the stores fail altogether for minutes, now and then."""
        while self.setup.has_store:
            await asyncio.sleep(self._outages.uniform(*self.between_outages_seconds))
            self.faults.outage = self._outages.choice((Kind.RAISES, Kind.HANGS))
            self.judge.counts["outages of the stores"] += 1
            await asyncio.sleep(self._outages.uniform(*OUTAGE_SECONDS))
            self.faults.outage = None

    async def _read_log(self) -> None:
        """Invalidate again what the log calls lost, as it advises."""
        while True:
            await asyncio.sleep(5)
            keys, self.log.lost = set(self.log.lost), []
            for key in sorted(keys):
                site = self.sites[key.partition(":")[0]]
                # A key that is no tag's is written with any tag.
                pages = [page for page in site.pages.values() if key == kv_tag_key(page.tag, site.tenant)] or [site.pages["/p/0"]]
                self._keep(asyncio.ensure_future(self._invalidate(site, self._isolates[0], pages[0])))

    async def _settle(self) -> None:
        """Let the last writes end. Of one whose request was ended, an isolate learns with its next invalidation."""
        for _ in range(2):
            await asyncio.sleep(LAST_WRITES_SECONDS)
            for isolate in self._isolates:
                for site in self.sites.values():
                    await self._invalidate(site, isolate, site.pages["/p/0"])


@dataclass(frozen=True)
class Visit:
    """A request to an isolate."""

    isolate: Isolate
    tenant: str
    path: str
    is_rsc: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    is_last: bool = False
    may_vanish: bool = False


def _received(answer: Answer) -> Received:
    if isinstance(answer, CachedAnswer):
        body = None if answer.body is None else answer.body.to_bytes()
        return Received(answer.status, {name.lower(): text for name, text in answer.headers}, body, from_cache=True)
    response = answer.response
    assert isinstance(response, FakeResponse)
    headers = {name.lower(): text for name, text in response.header_items() if name.lower() not in answer.removed}
    if isinstance(answer, RuledAnswer):
        body = None if answer.body is None else answer.body.to_bytes()
        return Received(304 if answer.is_not_modified else response.status, headers, body, from_cache=True)
    headers |= {name.lower(): text for name, text in answer.added}
    is_broken = response.breaks_off or type(response) is not FakeResponse
    return Received(response.status, headers, response.body, from_cache=False, is_broken=is_broken)
