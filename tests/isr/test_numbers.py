"""What a site's cache has done in an isolate is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakes.pages import FakePages, broken, dynamic, page
from tests.fakes.ports import FakeClock
from tests.fakes.worker import FakeWorker

from cache.memory import MemoryCacheHandler
from core.errors import CacheError
from isr.answer import NO_PAGE, outcome_of
from isr.numbers import LATENCY_MS, Latency, Numbers
from isr.reasons import Bypass, Inadmissible, Unkept
from isr.story import Outcome

if TYPE_CHECKING:
    from cache.entry import CacheEntry


class NoWrites(MemoryCacheHandler):
    async def write(self, name: str, entry: CacheEntry) -> None:
        raise CacheError(f"the disk is full: {name} {entry}")


def counted(numbers: Numbers) -> dict[str, int]:
    return {outcome.value: latency.count for outcome, latency in numbers.requests.items() if latency.count}


async def test_each_request_is_counted_by_what_became_of_it() -> None:
    pages = FakePages({"/a": page("text", "s-maxage=60, stale-while-revalidate=540"), "/mine": dynamic(), "/broken": broken()})
    worker = await FakeWorker(pages=pages).open()
    numbers = worker.store.numbers
    assert Numbers().hit_rate is None
    await worker.get("/a")
    await worker.get("/a")
    await worker.get("/a", method="HEAD")
    worker.clock.pass_seconds(61)
    await worker.get("/a")
    for _ in range(2):
        await worker.get("/mine")
    await worker.get("/mine?a=b")
    await worker.get("/a", method="POST")
    await worker.get("/broken")
    await worker.get("/__prerender/a.html")
    assert counted(numbers) == {"MISS": 1, "HIT": 2, "STALE": 1, "passed on": 5, "404": 1}
    assert numbers.total == 10
    assert numbers.hit_rate == 0.3
    assert numbers.passed_on == {
        Bypass.METHOD: 1,
        Unkept.QUERY: 1,
        Inadmissible.NO_STORE: 2,
        Inadmissible.FAILED_STATUS: 1,
    }
    # Beside the visitors' answers, the payload of /a, of which the page handler has none.
    assert numbers.refused == {Inadmissible.NO_STORE: 3 + 1, Inadmissible.FAILED_STATUS: 1}
    assert numbers.sent_bytes == 2 * len("text")


async def test_what_is_stored_and_rendered_in_the_background_is_counted() -> None:
    worker = await FakeWorker(pages=FakePages({"/a": page("text", "s-maxage=60, stale-while-revalidate=540")})).open()
    numbers = worker.store.numbers
    await worker.get("/a")
    assert (numbers.stored > 0, numbers.regenerations_failed) == (True, 0)
    stored, regenerated = numbers.stored, numbers.regenerated
    worker.clock.pass_seconds(61)
    await worker.get("/a")
    assert (numbers.stored > stored, numbers.regenerated > regenerated) == (True, True)
    assert numbers.stored_bytes >= numbers.stored * len("text")
    worker.pages.documents["/a"] = broken()
    worker.clock.pass_seconds(61)
    await worker.get("/a")
    assert numbers.regenerations_failed == 1
    assert numbers.refused[Inadmissible.FAILED_STATUS] == 1


async def test_a_write_that_fails_is_not_counted_as_stored() -> None:
    worker = await FakeWorker(pages=FakePages({"/a": page("text")}), handler=NoWrites(1024, FakeClock())).open()
    await worker.get("/a")
    assert worker.store.numbers.stored == 0


def test_a_histogram_counts_each_time_in_the_first_bucket_that_takes_it() -> None:
    latency = Latency()
    for took_ms in (0, 1, 1.1, 10_000, 10_001):
        latency.add(took_ms)
    assert latency.buckets == [2, 1, *[0] * (len(LATENCY_MS) - 3), 1, 1]
    assert (latency.count, latency.total_ms) == (5, 20_003.1)


def test_no_answer_is_a_failure() -> None:
    numbers = Numbers()
    numbers.answered(outcome_of(NO_PAGE), NO_PAGE.reason, 0, 3)
    assert counted(numbers) == {Outcome.FAILED.value: 1}
    assert not numbers.passed_on
