"""No result is older than an invalidation that its call has to know of, however the data came about."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.data_cache import World
from tests.fakes.no_op import NoOpCacheHandler

from cache.keys import KeySchema
from datacache.cached import cached
from datacache.context import revalidate_path, revalidate_tag
from pages.policy import Rendering, rendering_as

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Source:
    """Where functions read what they return, and the functions: `inner` carries a tag, `outer` is made of it."""

    def __init__(self) -> None:
        self.value = "old"

        @cached(["inner"], tags=["posts"])
        async def inner() -> str:
            return self.value

        @cached(["outer"])
        async def outer() -> str:
            return await inner()

        @cached(["outermost"])
        async def outermost() -> str:
            return await outer()

        self.inner = inner
        self.outer = outer
        self.outermost = outermost


async def on_page(path: str, function: Callable[[], Awaitable[str]], *, for_cache: bool = False) -> str:
    with rendering_as(Rendering(path, is_for_cache=for_cache)):
        return await function()


@pytest.mark.parametrize("for_cache", [False, True], ids=["for a visitor", "for the cache"])
async def test_a_result_that_is_kept_is_not_made_of_stale_data(world: World, for_cache: bool) -> None:  # noqa: FBT001 - a case
    source = Source()
    assert await on_page("/", source.outermost) == "old"
    source.value = "new"
    world.clock.pass_seconds(5)
    await revalidate_tag("posts", profile="max")
    world.clock.pass_seconds(5)
    assert await on_page("/", source.outermost, for_cache=for_cache) == ("new" if for_cache else "old")
    await world.background.done()
    assert [await source.outermost(), await source.outer(), await source.inner()] == ["new"] * 3


async def test_a_path_reaches_data_at_every_depth(world: World) -> None:
    source = Source()
    assert await on_page("/blog", source.outermost) == "old"
    source.value = "new"
    world.clock.pass_seconds(5)
    await revalidate_path("/blog")
    world.clock.pass_seconds(5)
    assert await on_page("/other", source.outermost) == "old"
    assert await on_page("/blog", source.outermost) == "new"
    assert await on_page("/other", source.outermost) == "new"


async def a_turn() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class Gate:
    """A place where the runs of a function wait, each with what it has read before."""

    def __init__(self) -> None:
        self.is_open = asyncio.Event()
        self.runs = 0

    async def pass_through(self) -> None:
        self.runs += 1
        await self.is_open.wait()
        await a_turn()


@pytest.mark.parametrize("profile", [None, "max"])
@pytest.mark.parametrize("seconds", [0, 5], ids=["in one millisecond", "later"])
async def test_a_call_after_an_invalidation_does_not_join_a_run_of_before(
    world: World, profile: str | None, seconds: int
) -> None:
    gate, value = Gate(), "old"

    @cached(tags=["posts"])
    async def posts() -> str:
        found = value
        await gate.pass_through()
        return found

    before = [asyncio.ensure_future(posts()), asyncio.ensure_future(posts())]
    await a_turn()
    world.clock.pass_seconds(seconds)
    value = "new"
    await revalidate_tag("posts", profile=profile)
    after = [asyncio.ensure_future(posts()) for _ in range(3)]
    await a_turn()
    gate.is_open.set()
    assert await asyncio.gather(*after) == ["new"] * 3
    assert (await before[0], gate.runs) == ("old", 2)


async def test_a_call_for_an_invalidated_page_does_not_join_a_run_of_before(world: World) -> None:
    gate, value = Gate(), "old"

    @cached()
    async def posts() -> str:
        found = value
        await gate.pass_through()
        return found

    before = asyncio.ensure_future(on_page("/blog", posts))
    await a_turn()
    world.clock.pass_seconds(5)
    value = "new"
    await revalidate_path("/blog")
    after = [asyncio.ensure_future(on_page(path, posts)) for path in ("/blog", "/other")]
    await a_turn()
    gate.is_open.set()
    assert (await before, *await asyncio.gather(*after)) == ("old", "new", "old")


async def test_a_handler_that_cannot_tell_has_a_joined_run_done_again() -> None:
    class Silent(NoOpCacheHandler):
        async def is_invalidated(self, tags: Any, since_ms: int) -> bool:
            raise OSError("unreachable")

    world, gate = World(handler=Silent()), Gate()

    @cached()
    async def posts() -> int:
        await gate.pass_through()
        return gate.runs

    calls = [asyncio.ensure_future(posts()) for _ in range(2)]
    await a_turn()
    gate.is_open.set()
    assert await asyncio.gather(*calls) == [1, 2]
    assert world.log.names() == ["cache.read_failed"]


@pytest.mark.parametrize("schema", KeySchema)
@pytest.mark.parametrize(("profile", "found"), [(None, "new"), ("max", "old")])
async def test_a_result_that_was_stored_under_other_tags_has_those_of_the_call_too(
    schema: KeySchema, profile: str | None, found: str
) -> None:
    world, value = World(schema), "old"

    def posts_with(*tags: str) -> Callable[[], Awaitable[str]]:
        @cached(["posts"], source="posts", tags=tags)
        async def posts() -> str:
            return value

        return posts

    await posts_with("a")()
    page = Rendering()
    with rendering_as(page):
        await posts_with("ü", "a")()
    value = "new"
    assert set(page.tags) == {"a", "ü"}
    world.clock.pass_seconds(5)
    await revalidate_tag("ü", profile=profile)
    world.clock.pass_seconds(5)
    assert await posts_with("a")() == "old"
    assert await posts_with("ü", "a")() == found
    await world.background.done()
    assert await posts_with("a")() == "new"


async def test_a_joined_run_gives_its_page_the_tags_of_the_call(world: World) -> None:
    del world
    gate = Gate()

    def posts_with(tag: str) -> Callable[[], Awaitable[None]]:
        @cached(["posts"], source="posts", tags=[tag])
        async def posts() -> None:
            await gate.pass_through()

        return posts

    first = asyncio.ensure_future(posts_with("a")())
    await a_turn()
    page = Rendering()
    with rendering_as(page):
        second = asyncio.ensure_future(posts_with("b")())
        await a_turn()
    gate.is_open.set()
    await asyncio.gather(first, second)
    assert (set(page.tags), gate.runs) == ({"a", "b"}, 1)
