"""Many sites in one isolate: one plan, one memory and one store, and nothing passes from one site to another."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.fakes.assets import FakeAssets
from tests.fakes.flight import FakeFlight
from tests.fakes.kv import InMemoryKV
from tests.fakes.pages import FakeResponse, page
from tests.fakes.ports import FakeBackground, FakeClock, FakeLog
from tests.fakes.requests import request
from tests.fakes.worker import NoImages, digest

from core.body import BytesBody
from core.runtime import Runtime
from isr.answer import CachedAnswer, PassedAnswer
from isr.assemble import SITE_BYTES, SharedParts, SitePlan
from isr.settings import Settings, read_settings
from seed.sources import BuildOpener

if TYPE_CHECKING:
    from isr.assemble import SiteServer
    from pages.request import PageRequest, RenderRequest


class Pages:
    """Each render of a page says whose it is, and is another one. All have a tag of the same name."""

    def __init__(self) -> None:
        self.renders = 0

    async def answer(self, asked: PageRequest) -> FakeResponse:
        return self._made(asked)

    async def render(self, asked: RenderRequest) -> FakeResponse:
        return self._made(asked)

    def _made(self, asked: PageRequest | RenderRequest) -> FakeResponse:
        self.renders += 1
        return page(f"{asked.origin}{asked.path} {self.renders}".ljust(1500), "s-maxage=3600", cache_tag="all")


class Isolate:
    """The sites of an isolate, made ready as in the entrypoint."""

    def __init__(self, memory_bytes: int, *, has_kv: bool, tenants: str = "*.example.com={label}") -> None:
        self.clock, self.log, self.background = FakeClock(), FakeLog(), FakeBackground()
        self.pages = Pages()
        self.sites: dict[str, SiteServer] = {}
        self.ended = 0
        variables = {"VINEXT_TENANTS": tenants, "VINEXT_MEMORY_BYTES": str(memory_bytes)}
        self._parts = SharedParts(
            settings=read_settings(variables),
            namespace=InMemoryKV(self.clock) if has_kv else None,
            page_handler=self.pages,
            image_sources=NoImages(),
            image_transformer=None,
            digest=digest,
            make_body=BytesBody,
        )

    def _runtime(self) -> Runtime:
        return Runtime(FakeFlight(self.clock, self.log), self.background, self.clock, self.log, self.clock.sleep)

    async def open(self) -> Isolate:
        source = await BuildOpener(FakeAssets(), self._runtime()).open()
        self._plan = SitePlan(self._parts, source, self.log)
        return self

    def site(self, name: str) -> SiteServer:
        if name not in self.sites:
            self.sites[name] = self._plan.site(name, self._runtime(), end=partial(self._end, name))
        site = self.sites[name]
        site.share.used()
        return site

    def _end(self, name: str) -> None:
        self.ended += 1
        del self.sites[name]

    async def ask(self, name: str, path: str) -> tuple[str, str | None]:
        """Return the page, and the state of the cache."""
        answer = await self.site(name).page_cache.answer(request(path, origin=f"https://{name}.example.com"))
        assert not await self.background.done()
        if isinstance(answer, CachedAnswer):
            assert answer.body is not None
            return answer.body.to_bytes().decode().strip(), "HIT"
        assert isinstance(answer, PassedAnswer)
        assert isinstance(answer.response, FakeResponse)
        return answer.response.body.decode().strip(), None

    async def invalidate(self, name: str) -> None:
        await self.site(name).store.revalidate_tags(("all",))
        assert not await self.background.done()
        # What is made sooner is made once more by whoever did not make it: another isolate, or a site that is ready again.
        self.clock.now_ms += 2 * Settings.clock_skew_ms


NAMES = "abcdef"

asked = st.lists(
    st.tuples(st.sampled_from(["ask", "ask", "ask", "invalidate"]), st.sampled_from(NAMES), st.sampled_from(["/", "/x", "/y"])),
    max_size=60,
)


@example(
    made=[("invalidate", "a", "/"), ("ask", "a", "/"), ("ask", "b", "/"), ("ask", "c", "/"), ("ask", "a", "/")],
    memory_bytes=0,
    has_kv=True,
)
@given(made=asked, memory_bytes=st.sampled_from([0, 9000, 30_000, 10**6]), has_kv=st.booleans())
async def test_a_site_s_pages_and_invalidations_are_its_own(
    made: list[tuple[str, str, str]], memory_bytes: int, *, has_kv: bool
) -> None:
    with patch("cache.pool.FREE_BYTES", 2 * SITE_BYTES):
        isolate = await Isolate(memory_bytes, has_kv=has_kv).open()
        last: dict[tuple[str, str], str] = {}
        for act, name, path in made:
            if act == "invalidate":
                await isolate.invalidate(name)
                last = {key: text for key, text in last.items() if key[0] != name}
                continue
            text, state = await isolate.ask(name, path)
            assert text.startswith(f"https://{name}.example.com{path} ")
            if state == "HIT":
                # What it got last, and nothing from before its own last invalidation.
                assert text == last[name, path]
            elif has_kv:
                # Whatever the others have done, a page is kept.
                assert (name, path) not in last
            last[name, path] = text


async def test_a_site_that_was_ended_is_made_ready_again_and_finds_its_pages_in_the_store() -> None:
    with patch("cache.pool.FREE_BYTES", 2 * SITE_BYTES):
        isolate = await Isolate(6000, has_kv=True).open()
        made = [await isolate.ask(name, "/") for name in NAMES]
        assert isolate.ended
        assert len(isolate.sites) <= 4
        assert [await isolate.ask(name, "/") for name in NAMES] == [(text, "HIT") for text, _ in made]


@pytest.mark.parametrize(
    ("tenants", "own_bytes"), [("", 0), ("a.example.com=a", 0), ("a.example.com=a,b.example.com=b", SITE_BYTES)]
)
async def test_a_site_takes_something_for_itself_where_there_are_others(tenants: str, own_bytes: int) -> None:
    isolate = await Isolate(10**6, has_kv=True, tenants=tenants).open()
    assert isolate.site("a").share.size_bytes == own_bytes
