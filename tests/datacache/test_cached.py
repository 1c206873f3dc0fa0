"""The data cache over fakes: keys and bodies of `unstable_cache`, staleness, sharing, and the policy of the page."""

from __future__ import annotations

import asyncio
import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.data_cache import Counter, World, counted
from tests.fakes.no_op import NoOpCacheHandler

from cache.entry import AppPageValue, FetchValue, RedirectValue
from cache.handler import SetContext
from cache.keys import KeySchema, data_cache_key, data_cache_key_v2, fnv1a64_base36
from cache.tags import path_tags
from core.errors import InvalidArgumentError
from datacache.cached import cached
from datacache.context import revalidate_path, revalidate_path_prefix, revalidate_tag
from datacache.fetched import FetchedResponse, FetchError, cached_fetch, set_fetcher
from datacache.life import PROFILES, CacheLife, cache_life
from pages.page import revalidate
from pages.policy import Rendering, no_store, rendering_as

if TYPE_CHECKING:
    from collections.abc import Mapping


async def test_a_result_is_kept_under_its_arguments(world: World) -> None:
    work, counter = counted()
    assert await work(1, "é") == await work(1, "é") == {"call": 1, "args": [1, "é"]}
    assert (await work(2))["call"] == 2
    assert counter.calls == 2


@pytest.mark.parametrize("schema", KeySchema)
async def test_the_entry_is_that_of_unstable_cache(schema: KeySchema) -> None:
    world = World(schema)

    @cached(["posts", "all"], tags=["posts", "ü"], revalidate=60, source="async (a)=>a")
    async def posts(slug: str, *, limit: int | None = None) -> Any:
        return [slug, limit]

    await posts("é", limit=3)
    arguments = ["é", {"limit": 3}]
    tag = "%C3%BC" if schema is KeySchema.V2 else "ü"
    key = data_cache_key(["posts", "all"], arguments)
    if schema is KeySchema.V2:
        key = data_cache_key_v2("async (a)=>a", ["posts", "all"], arguments)
    value = (await world.entry(key)).value
    assert value == FetchValue(headers={}, body='{"v":["é",3]}', url=key, tags=("posts", tag), revalidate=60)


@pytest.mark.parametrize(
    ("schema", "key"),
    [
        (KeySchema.V1, data_cache_key([fnv1a64_base36("async (a)=>a")], [1])),
        (KeySchema.V2, data_cache_key_v2("async (a)=>a", None, [1])),
    ],
)
async def test_without_key_parts_it_goes_by_the_source_as_vinext_names_it(schema: KeySchema, key: str) -> None:
    world = World(schema)

    @cached(source="async (a)=>a")
    async def work(first: int) -> int:
        return first

    await work(1)
    assert (await world.entry(key)).value is not None


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        pytest.param({"b": 1, "10": 2, "9": 3, "a": 4}, '{"9":3,"10":2,"b":1,"a":4}', id="indices first"),
        pytest.param([({"x": 1, "0": {"y": 2, "7": 3}},)], '[[{"0":{"7":3,"y":2},"x":1}]]', id="deep"),
        pytest.param(
            {"4294967295": 1, "01": 2, "-1": 3, "": 4, "²": 5, "1" * 5000: 6, "4294967294": 7, "0": 8},
            f'{{"0":8,"4294967294":7,"4294967295":1,"01":2,"-1":3,"":4,"²":5,"{"1" * 5000}":6}}',
            id="what is no index",
        ),
    ],
)
async def test_a_key_has_mappings_in_the_order_of_a_javascript_object(argument: object, text: str) -> None:
    world = World(KeySchema.V1)
    work, _ = counted()
    assert (await work(argument))["args"] == json.loads(f"[{text}]")
    assert (await world.entry(f"unstable_cache:counted:[{text}]")).value is not None


async def test_keywords_and_positions_are_one_call(world: World) -> None:
    @cached()
    async def work(first: int, second: int = 5) -> int:
        return first + second + counter.next()

    counter = Counter()
    assert await work(1, 2) == await work(second=2, first=1)
    assert counter.calls == 1


async def test_a_tuple_comes_back_as_a_list_each_time(world: World) -> None:
    @cached()
    async def work() -> Any:
        return (1, 2.0, {"a": (3,)})

    assert await work() == await work() == [1, 2, {"a": [3]}]


@pytest.mark.parametrize("body", ['{"undef":true}', '{"v":null}'])
async def test_undefined_and_null_of_javascript_are_none(world: World, body: str) -> None:
    key = data_cache_key_v2("f", ["k"], [])
    await world.kept.set(key, FetchValue(headers={}, body=body, url=key))

    @cached(["k"], source="f")
    async def work() -> str:
        raise AssertionError("not called")

    assert await work() is None


@pytest.mark.parametrize("value", [FetchValue(headers={}, body="[]", url="x"), RedirectValue(props={})], ids=["body", "kind"])
async def test_an_unreadable_result_is_replaced(world: World, value: Any) -> None:
    work, _ = counted(source="s")
    await world.kept.set(data_cache_key_v2("s", ["counted"], []), value)
    assert (await work())["call"] == 1


async def test_a_stale_result_is_returned_while_it_is_refreshed(world: World) -> None:
    work, counter = counted(revalidate=60)
    await work()
    world.clock.pass_seconds(61)
    assert (await work())["call"] == 1
    assert (await work())["call"] == 1
    assert await world.background.done() == []
    assert ((await work())["call"], counter.calls) == (2, 2)


async def test_a_stale_result_is_refreshed_once_at_a_time(world: World) -> None:
    runs, may_end = Counter(), asyncio.Event()

    @cached(revalidate=60)
    async def work() -> int:
        await may_end.wait()
        return runs.next()

    may_end.set()
    await work()
    world.clock.pass_seconds(61)
    may_end.clear()
    assert [await work(), await work()] == [1, 1]
    may_end.set()
    await world.background.done()
    assert (await work(), runs.calls) == (2, 2)


async def test_a_refresh_whose_request_is_ended_is_tried_again_half_a_minute_later(world: World) -> None:
    runs, hangs = Counter(), False

    @cached(revalidate=1)
    async def work() -> int:
        if hangs:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(0)
        return runs.next()

    await work()
    world.clock.pass_seconds(2)
    hangs = True
    assert await work() == 1
    ended = world.background.tasks
    await asyncio.sleep(0)
    world.background.tasks = []
    hangs = False
    for _ in range(29):
        world.clock.pass_seconds(1)
        assert await work() == 1
    world.clock.pass_seconds(1)
    assert await work() == 1
    assert await world.background.done() == []
    assert await work() == 2
    assert world.log.names() == ["claim.ended"]
    for _, task in ended:
        task.cancel()


async def test_a_page_rendered_for_the_cache_waits_for_fresh_data(world: World) -> None:
    work, _ = counted(revalidate=60)
    await work()
    world.clock.pass_seconds(61)
    with rendering_as(Rendering("/", is_for_cache=True)):
        assert (await work())["call"] == 2


async def test_calls_at_the_same_time_share_one_run(world: World) -> None:
    runs = Counter()

    @cached()
    async def work() -> int:
        await asyncio.sleep(0)
        return runs.next()

    assert await asyncio.gather(*(work() for _ in range(5))) == [1] * 5


async def test_a_function_that_fails_is_run_twice_for_all_who_wait_for_it(world: World) -> None:
    runs = Counter()

    @cached()
    async def work() -> int:
        await asyncio.sleep(0)
        raise ValueError(f"run {runs.next()}")

    failures = await asyncio.gather(*(work() for _ in range(300)), return_exceptions=True)
    assert list(map(str, failures)) == ["run 1", *["run 2"] * 299]
    assert all(isinstance(failure, ValueError) for failure in failures)


async def test_a_failure_is_not_stored(world: World) -> None:
    counter = Counter()

    @cached(revalidate=60)
    async def work() -> int:
        if counter.next() == 2:
            raise ValueError("broke")
        return counter.calls

    assert await work() == 1
    world.clock.pass_seconds(61)
    assert await work() == 1
    assert [str(failure) for failure in await world.background.done()] == ["broke"]
    assert await work() == 1


async def test_an_invalidated_result_is_computed_again(world: World) -> None:
    work, _ = counted(tags=["posts", "ü"])
    await work()
    world.clock.pass_seconds(1)
    await revalidate_tag("other")
    assert (await work())["call"] == 1
    await revalidate_tag("posts")
    world.clock.pass_seconds(1)
    assert (await work())["call"] == 2
    await revalidate_tag("ü")
    world.clock.pass_seconds(1)
    assert (await work())["call"] == 3


@pytest.mark.parametrize("profile", ["max", CacheLife(expire=60), CacheLife()], ids=["max", "a minute", "no end"])
async def test_data_that_a_profile_makes_stale_is_returned_once_more_and_refreshed(
    world: World, profile: str | CacheLife
) -> None:
    work, _ = counted(tags=["posts"])
    await work()
    world.clock.pass_seconds(1)
    await revalidate_tag("posts", profile=profile)
    assert (await work())["call"] == 1
    await world.background.done()
    world.clock.pass_seconds(1)
    assert (await work())["call"] == 2


async def test_data_is_computed_again_when_the_time_of_a_profile_is_over(world: World) -> None:
    work, _ = counted(tags=["posts"])
    await work()
    await revalidate_tag("posts", "other", profile=CacheLife(expire=60))
    world.clock.pass_seconds(61)
    assert (await work())["call"] == 2


async def test_a_page_for_the_cache_waits_for_data_that_became_stale(world: World) -> None:
    work, _ = counted(tags=["posts"])
    await work()
    world.clock.pass_seconds(1)
    await revalidate_tag("posts", profile="max")
    with rendering_as(Rendering("/a", is_for_cache=True)):
        assert (await work())["call"] == 2


async def test_a_wrong_profile_is_named(world: World) -> None:
    del world
    with pytest.raises(InvalidArgumentError, match="profile is 'soon'"):
        await revalidate_tag("posts", profile="soon")


async def test_an_invalidated_page_has_its_data_computed_again(world: World) -> None:
    work, _ = counted()
    await work()
    world.clock.pass_seconds(1)
    await revalidate_path("/a")
    with rendering_as(Rendering("/b")):
        assert (await work())["call"] == 1
    with rendering_as(Rendering("/a")):
        assert (await work())["call"] == 2


@pytest.mark.parametrize("path", ["/a b", "/a%20b", "/a%20b/", "/x/../a%20b"])
async def test_a_path_is_invalidated_by_any_of_its_spellings(world: World, path: str) -> None:
    pages = ("/a b", "/a b/c", "/other")
    for page in pages:
        await world.kept.set(page, AppPageValue(), SetContext(tags=path_tags(world.schema, page)))
    world.clock.pass_seconds(1)
    await revalidate_path(path)
    assert [await world.kept.get(page) is None for page in pages] == [True, False, False]
    await revalidate_path_prefix(path)
    assert [await world.kept.get(page) is None for page in pages] == [True, True, False]


@pytest.mark.parametrize("path", ["blog", "", None])
async def test_a_path_that_is_none_is_named(path: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"path is .* allowed: a path that begins with /"):
        await revalidate_path(path)
    with pytest.raises(InvalidArgumentError, match=r"prefix is .* allowed: a path that begins with /"):
        await revalidate_path_prefix(path)


async def test_a_prefix_invalidates_the_data_of_its_page_and_of_pages_below(world: World) -> None:
    paths = ("/docs", "/docs/a", "/docs-old")
    for path in paths:
        await world.kept.set(path, AppPageValue(), SetContext(tags=path_tags(world.schema, path)))
    await revalidate_path_prefix("/docs")
    assert [await world.kept.get(path) is None for path in paths] == [True, True, False]


async def test_a_page_has_the_tags_and_the_shortest_periods_of_its_data(world: World) -> None:
    @cached(tags=["inner"])
    async def inner() -> int:
        cache_life(CacheLife(revalidate=30, expire=600))
        return 1

    @cached(["outer"], tags=["outer"], source="s", revalidate=300)
    async def outer() -> int:
        return await inner()

    for _ in range(2):  # made, then kept
        page = Rendering()
        with rendering_as(page):
            revalidate(3600)(lambda: None)()
            await outer()
        assert (set(page.tags), page.effective_seconds, page.expire_seconds) == ({"outer", "inner"}, 30, 600)
    entry = await world.entry(data_cache_key_v2("s", ["outer"], []))
    assert (entry.revalidate_seconds, entry.expire_seconds) == (30, 600)


async def test_a_life_that_has_ended_when_it_begins_is_not_kept(world: World) -> None:
    del world
    counter = Counter()

    @cached()
    async def work() -> int:
        cache_life(CacheLife(expire=0))
        return counter.next()

    assert [await work(), await work()] == [1, 2]


async def test_cache_life_applies_to_the_data_it_is_called_in(world: World) -> None:
    @cached(["life"], source="s")
    async def work() -> int:
        cache_life("minutes")
        return 1

    await work()
    entry = await world.entry(data_cache_key_v2("s", ["life"], []))
    assert (entry.revalidate_seconds, entry.expire_seconds) == (60, 3600)


def test_cache_life_applies_to_the_page_it_is_called_in() -> None:
    page = Rendering()
    with rendering_as(page):
        cache_life("hours")
        cache_life("default")
        cache_life(CacheLife(revalidate=1800, expire=7200))
    assert (page.effective_seconds, page.expire_seconds) == (900, 7200)
    cache_life("max")  # outside of both it does nothing


def test_a_life_without_a_period_is_never_stale() -> None:
    page = Rendering()
    with rendering_as(page):
        cache_life(CacheLife())
    assert page.effective_seconds == math.inf


@pytest.mark.parametrize("profile", ["hourly", 60, None])
def test_an_unknown_profile_is_named(profile: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="allowed: default, seconds, minutes, hours, days, weeks, max"):
        cache_life(profile)


def test_the_profiles_have_the_numbers_of_nextjs() -> None:
    numbers = {name: (life.revalidate, life.expire) for name, life in PROFILES.items()}
    assert numbers == {
        "default": (900, None),
        "seconds": (1, 60),
        "minutes": (60, 3600),
        "hours": (3600, 86400),
        "days": (86400, 604800),
        "weeks": (604800, 2592000),
        "max": (2592000, 31536000),
    }


async def test_no_store_in_data_makes_data_and_page_uncacheable(world: World) -> None:
    counter = Counter()

    @cached()
    async def work() -> int:
        no_store()
        return counter.next()

    page = Rendering()
    with rendering_as(page):
        assert [await work(), await work()] == [1, 2]
    assert page.is_no_store


async def test_a_cache_that_fails_does_not_change_results() -> None:
    class Failing(NoOpCacheHandler):
        async def get(self, key: str, context: Any = None) -> Any:
            raise OSError("unreachable")

        async def set(self, key: str, value: Any, context: Any = None) -> None:
            raise OSError("unreachable")

    world = World(handler=Failing())
    work, _ = counted()
    assert (await work())["call"] == 1
    assert await world.background.done() == []
    assert world.log.names() == ["cache.read_failed", "cache.write_failed"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        pytest.param(object(), "args of .*work is .*allowed: JSON values", id="an object"),
        pytest.param(b"x", "allowed: JSON values", id="bytes"),
        pytest.param({1}, "allowed: JSON values", id="a set"),
        pytest.param(math.nan, "allowed: JSON values", id="not a number"),
        pytest.param({"a": [math.inf]}, "allowed: JSON values", id="infinity, deep"),
        pytest.param({1: "a"}, "a key in args .* allowed: a string", id="a key that is no text"),
        pytest.param(2**53, "at most 53 bits", id="a number that JavaScript would round"),
    ],
)
async def test_values_that_json_cannot_represent_are_refused(world: World, argument: Any, message: str) -> None:
    work, counter = counted()
    with pytest.raises(InvalidArgumentError, match=message):
        await work(argument)
    assert counter.calls == 0

    @cached()
    async def gives() -> Any:
        return argument

    with pytest.raises(InvalidArgumentError, match=r"the result of .*gives"):
        await gives()


async def test_a_recursive_value_is_refused(world: World) -> None:
    endless: list[Any] = []
    endless.append(endless)
    work, _ = counted()
    with pytest.raises(InvalidArgumentError, match="at most 100 deep"):
        await work(endless)


async def test_a_wrong_call_raises_the_function_s_own_error(world: World) -> None:
    @cached()
    async def work(first: int) -> int:
        return first

    with pytest.raises(TypeError, match="missing a required argument"):
        await work()  # type: ignore[call-arg]  # the mistake


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"revalidate": -1}, "cached.revalidate is -1"),
        ({"revalidate": 0}, "0 would keep nothing"),
        ({"tags": [""]}, "cached.tags"),
        ({"key_parts": "posts"}, "cached.key_parts is 'posts'"),
        ({"key_parts": [1]}, "cached.key_parts"),
    ],
)
def test_wrong_options_fail_where_they_are_written(options: Mapping[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        cached(**options)


def test_only_async_functions_are_cached() -> None:
    with pytest.raises(InvalidArgumentError, match="an async function"):
        cached()(len)  # type: ignore[arg-type]  # the mistake


async def test_outside_a_request_a_function_is_called_without_a_cache() -> None:
    work, counter = counted()
    assert ((await work())["call"], (await work())["call"], counter.calls) == (1, 2, 2)
    await revalidate_tag("posts")
    await revalidate_path_prefix("/posts")


@pytest.fixture
def asked(world: World) -> list[tuple[str, dict[str, str]]]:
    seen: list[tuple[str, dict[str, str]]] = []

    async def fetch(url: str, headers: Mapping[str, str]) -> FetchedResponse:
        seen.append((url, dict(headers)))
        status = 404 if "missing" in url else 200
        return FetchedResponse(url, status, {"content-type": "application/json"}, b'{"a": "\xff"}')

    set_fetcher(fetch)
    return seen


async def test_a_fetched_answer_is_stored_whole(asked: list[Any]) -> None:
    first = await cached_fetch("https://a.test/x", revalidate=60, tags=["a"], headers={"X-B": "1"})
    second = await cached_fetch("https://a.test/x", revalidate=60, tags=["a"], headers={"x-b": "1"})
    assert first == second
    assert (second.status, second.ok, second.headers, second.body) == (
        200,
        True,
        {"content-type": "application/json"},
        b'{"a": "\xff"}',
    )
    assert second.text() == '{"a": "�"}'
    await cached_fetch("https://a.test/x", headers={"x-b": "2"})
    assert asked == [("https://a.test/x", {"x-b": "1"}), ("https://a.test/x", {"x-b": "2"})]


async def test_only_success_is_stored_and_a_period_of_zero_always_fetches(asked: list[Any]) -> None:
    for _ in range(2):
        assert (await cached_fetch("https://a.test/missing")).status == 404
        await cached_fetch("https://a.test/x", revalidate=0)
    assert len(asked) == 4


async def test_a_body_is_read_as_json(asked: list[Any]) -> None:
    assert FetchedResponse("", 200, {}, b"[1]").json() == [1]
    with pytest.raises(InvalidArgumentError, match="begins with http"):
        await cached_fetch("file:///etc/passwd")


async def test_fetching_outside_the_runtime_is_an_error() -> None:
    set_fetcher(None)  # type: ignore[arg-type]  # as it is before the Worker starts
    with pytest.raises(FetchError, match="outside of the Worker"):
        await cached_fetch("https://a.test/")
