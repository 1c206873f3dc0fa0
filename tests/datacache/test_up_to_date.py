"""No result is older than an invalidation that its call has to know of, however the data came about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from datacache.cached import cached
from datacache.context import revalidate_path, revalidate_tag
from pages.policy import Rendering, rendering_as

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.fakes.data_cache import World


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
