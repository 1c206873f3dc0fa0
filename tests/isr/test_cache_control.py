from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.pages import FakeResponse
from tests.fakes.worker import FakeWorker

from cache.entry import CacheEntry, Freshness
from core.http import Period, directives, forbids_storing, shared_period
from isr.answer import cached_cache_control
from pages.policy import Rendering, with_policy

FRESH, STALE = Freshness.FRESH, Freshness.STALE


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", {}),
        (" , ,", {}),
        ("no-store", {"no-store": ""}),
        ("S-MaxAge=60", {"s-maxage": "60"}),
        ("s-maxage=60,stale-while-revalidate", {"s-maxage": "60", "stale-while-revalidate": ""}),
        (' s-maxage = "60" , public ', {"s-maxage": "60", "public": ""}),
        ('private="a, no-store", s-maxage=1', {"private": "a, no-store", "s-maxage": "1"}),
        (r'ext="a\",no-store", s-maxage=1', {"ext": r"a\",no-store", "s-maxage": "1"}),
        ('ext="never closed, no-store', {"ext": "never closed, no-store"}),
        ("max-age=1, max-age=2", {"max-age": "1"}),
        ("=60, public", {"public": ""}),
    ],
    ids=repr,
)
def test_directives_are_told_apart(value: str, expected: dict[str, str]) -> None:
    assert directives(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("s-maxage=60", None),
        ("public, max-age=0, must-revalidate", None),
        ('ext="no-store"', None),
        ("no-store", "no-store"),
        ("No-Cache, s-maxage=60", "no-cache"),
        ("private, s-maxage=60", "private"),
        ('private="x-user"', "private"),
    ],
    ids=repr,
)
def test_a_directive_forbids_storing(value: str, expected: str | None) -> None:
    assert forbids_storing(directives(value)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("s-maxage=60", Period(60, None)),
        ("s-maxage=60, stale-while-revalidate", Period(60, None)),
        ("s-maxage=60, stale-while-revalidate=540", Period(60, 600)),
        ("s-maxage=60, stale-while-revalidate=0", Period(60, 60)),
        ("s-maxage=60, stale-while-revalidate=x", Period(60, None)),
        ("s-maxage=31536000, stale-while-revalidate", Period(None, None)),
        ("s-maxage=31536000", Period(None, None)),
        ("s-maxage=31536000, stale-while-revalidate=1", Period(31_536_000, 31_536_001)),
        ("s-maxage=9999999999", Period(None, None)),
        ("s-maxage=0", None),
        ("s-maxage=", None),
        ("s-maxage", None),
        ("s-maxage=-1", None),
        ("s-maxage=1.5", None),
        ("s-maxage=0x10", None),
        ("s-maxage=\u0666", None),
        ("s-maxage=99999999999", None),
        ("max-age=60", None),
        ("", None),
    ],
    ids=repr,
)
def test_the_period_for_shared_caches(value: str, expected: Period | None) -> None:
    assert shared_period(directives(value), "s-maxage") == expected


@pytest.mark.parametrize(
    ("revalidate", "expire", "state", "expected"),
    [
        pytest.param(60, 600, FRESH, "s-maxage=60, stale-while-revalidate=540", id="fresh-with-end"),
        pytest.param(60, None, FRESH, "s-maxage=60, stale-while-revalidate", id="fresh-without-end"),
        pytest.param(600, 600, FRESH, "s-maxage=600", id="fresh-ends-at-its-period"),
        pytest.param(900, 600, FRESH, "s-maxage=900", id="fresh-ends-before-its-period"),
        pytest.param(60, 600, STALE, "s-maxage=60, stale-while-revalidate=540", id="stale-with-end"),
        pytest.param(60, None, STALE, "s-maxage=0, stale-while-revalidate", id="stale-without-end"),
        pytest.param(2.0, 10.0, FRESH, "s-maxage=2, stale-while-revalidate=8", id="whole-numbers"),
        pytest.param(0.5, None, FRESH, "s-maxage=0.5, stale-while-revalidate", id="fraction-as-vinext-writes-it"),
        pytest.param(1.999, None, FRESH, "s-maxage=2, stale-while-revalidate", id="difference-of-two-times"),
        pytest.param(None, None, FRESH, "s-maxage=31536000, stale-while-revalidate", id="never-stale"),
        pytest.param(False, None, FRESH, "s-maxage=31536000, stale-while-revalidate", id="never-stale-false"),
        pytest.param(None, 600, FRESH, "s-maxage=31536000, stale-while-revalidate", id="never-stale-with-end"),
    ],
)
def test_the_cache_control_of_a_cached_answer(revalidate: Any, expire: Any, state: Freshness, expected: str) -> None:
    assert cached_cache_control(CacheEntry.make(None, (), 0, revalidate, expire), state) == expected


FIELD = st.text(alphabet=st.sampled_from('ab-="\\, 019'), max_size=60) | st.text(max_size=60)


@given(FIELD)
def test_any_field_is_read(value: str) -> None:
    found = directives(value)
    assert all(name == name.strip().lower() != "" for name in found)
    period = shared_period(found, "s-maxage")
    assert period is None or period.revalidate_seconds is None or period.revalidate_seconds > 0


@given(st.lists(st.sampled_from(["no-store", "public", "s-maxage=60", 'a="b,c"', "x=1"]), unique=True))
def test_directives_are_found_whatever_their_order(parts: list[str]) -> None:
    assert directives(", ".join(parts)) == {k: v for part in parts for k, v in directives(part).items()}


@given(st.integers(1, 10**10), st.none() | st.integers(1, 10**10), st.sampled_from([FRESH, STALE]))
def test_what_is_written_can_be_read(revalidate: int, expire: int | None, state: Freshness) -> None:
    written = directives(cached_cache_control(CacheEntry.make(None, (), 0, revalidate, expire), state))
    assert forbids_storing(written) is None
    period = shared_period(written, "s-maxage")
    if state is FRESH and expire is not None and revalidate < min(expire, 10**9):
        assert period == Period(revalidate, expire)


@pytest.mark.parametrize(
    "own",
    [
        {"cache-control": "public, max-age=0, s-maxage=60, must-revalidate"},
        {"cache-control": "public, max-age=300, s-maxage=60, no-transform"},
        {"cache-control": "no-store", "cdn-cache-control": "max-age=60, stale-while-revalidate=3600"},
    ],
    ids=lambda own: own["cache-control"],
)
async def test_a_python_page_s_own_cache_control_is_on_every_answer_with_its_age(own: dict[str, str]) -> None:
    """A cache passes directives on (RFC 9111, 5.2); with the age they are no longer true than they were."""
    served = FakeWorker()
    given = with_policy(Rendering(), "GET", 200, (("content-type", "text/html"), *own.items()), is_personal=False)
    served.pages.documents["/a"] = FakeResponse(200, dict(given), b"page")
    await served.open()
    for state, seconds in (("MISS", 10), ("HIT", 60), ("STALE", 0)):
        got = await served.get("/a")
        assert (got.state, got.header("Cache-Control")) == (state, own["cache-control"])
        assert got.header("X-Vinext-Shared-Cache-Control") is None
        if state != "MISS":
            assert got.header("Age") == ("10" if state == "HIT" else "70")
        served.clock.pass_seconds(seconds)
