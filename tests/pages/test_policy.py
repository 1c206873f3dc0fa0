"""What a handler says by Page, decorator and no_store(), and the headers that come of it."""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any

import pytest

from core.body import BytesBody
from core.errors import InvalidArgumentError
from isr.admission import Admission, admit
from pages.handler import WholeResponse
from pages.page import Page, revalidate
from pages.policy import Rendering, current_rendering, no_store, rendering_as, with_policy

if TYPE_CHECKING:
    from collections.abc import Mapping

RULES: list[Any] = [
    pytest.param({}, {}, None, id="nothing asked for: nothing said"),
    pytest.param({"ask": (60, None)}, {}, "s-maxage=60, stale-while-revalidate", id="a period"),
    pytest.param({"ask": (60, 100)}, {}, "s-maxage=60, stale-while-revalidate=40", id="a period and an end"),
    pytest.param({"ask": (60, math.inf)}, {}, "s-maxage=60, stale-while-revalidate", id="an end that never comes"),
    pytest.param({"ask": (math.inf, None)}, {}, "s-maxage=31536000", id="never stale"),
    pytest.param({"ask": (1.9, None)}, {}, "s-maxage=1, stale-while-revalidate", id="whole seconds, rounded down"),
    pytest.param({"ask": (0, None)}, {}, "private, no-store", id="a period of zero"),
    pytest.param({"ask": (60, None), "limit": (10, None)}, {}, "s-maxage=10, stale-while-revalidate", id="shorter-lived data"),
    pytest.param({"ask": (60, None), "limit": (90, 90)}, {}, "s-maxage=60, stale-while-revalidate=30", id="longer-lived data"),
    pytest.param({"ask": (60, 900), "limit": (90, None)}, {}, "s-maxage=60, stale-while-revalidate=840", id="endless data"),
    pytest.param({"ask": (math.inf, None), "limit": (None, 60)}, {}, "s-maxage=60, stale-while-revalidate=0", id="ending data"),
    pytest.param({"ask": (math.inf, 60)}, {}, "s-maxage=60, stale-while-revalidate=0", id="never stale, but ending"),
    pytest.param({"ask": (60, None), "limit": (None, 0)}, {}, "private, no-store", id="data that has ended"),
    pytest.param({"limit": (10, 60)}, {}, None, id="data alone does not make a page cacheable"),
    pytest.param({"ask": (60, None)}, {"cache-control": "s-maxage=5"}, "s-maxage=5", id="the handler's own header holds"),
    pytest.param({"ask": (60, None)}, {"CDN-Cache-Control": "max-age=5"}, None, id="its header for CDNs holds"),
    pytest.param({"no_store": True, "ask": (60, None)}, {}, "private, no-store", id="no_store() beats a period"),
    pytest.param({"no_store": True}, {"Cache-Control": "s-maxage=5"}, "private, no-store", id="no_store() beats a header"),
    pytest.param({"ask": (60, None), "personal": True}, {}, "private, no-store", id="a visitor with cookies"),
    pytest.param({"ask": (60, None)}, {"Set-Cookie": "session=1"}, "private, no-store", id="an answer with a cookie"),
    pytest.param({}, {"set-cookie": "session=1"}, None, id="a cookie alone"),
    pytest.param({"ask": (60, None)}, {"set-cookie": "a=1", "cache-control": "s-maxage=5"}, "s-maxage=5", id="with its own"),
    pytest.param({"ask": (60, None), "status": 500}, {}, None, id="an error"),
    pytest.param({"ask": (60, None), "status": 404}, {}, "s-maxage=60, stale-while-revalidate", id="a page that is missing"),
    pytest.param({"ask": (60, None), "method": "POST"}, {}, None, id="a POST"),
]


@pytest.mark.parametrize(("learnt", "headers", "control"), RULES)
def test_cache_control(learnt: Mapping[str, Any], headers: dict[str, str], control: str | None) -> None:
    rendering = Rendering()
    rendering.is_no_store = learnt.get("no_store", False)
    if "ask" in learnt:
        rendering.ask(*learnt["ask"])
    rendering.limit(*learnt.get("limit", (None, None)))
    items = tuple(headers.items())
    personal = learnt.get("personal", False)
    found = with_policy(rendering, learnt.get("method", "GET"), learnt.get("status", 200), items, is_personal=personal)
    assert next((value for name, value in found if name.lower() == "cache-control"), None) == control


def test_tags_join_those_of_the_handlers_own_header() -> None:
    rendering = Rendering()
    rendering.add_tags(["a,b", "ü"])
    rendering.add_tags(["a,b"])
    found = with_policy(rendering, "GET", 200, (("X-Vinext-Cache-Tags", "own"),), is_personal=False)
    assert found == (("x-vinext-cache-tags", "own,a%2Cb,%C3%BC"),)


def test_tags_join_those_of_a_cache_tag() -> None:
    rendering = Rendering()
    rendering.add_tags(["data"])
    own = (("content-type", "text/html"), ("cache-control", "s-maxage=60"), ("Cache-Tag", "product-5, shop"))
    found = with_policy(rendering, "GET", 200, own, is_personal=False)
    assert {*own, ("x-vinext-cache-tags", "product-5, shop,data")} < set(found)
    admission = admit(WholeResponse(200, found, BytesBody(b"page")), None, rsc=False)
    assert isinstance(admission, Admission)
    assert admission.tags == ("product-5", "shop", "data")


def test_the_page_cache_is_told_which_cache_control_is_the_handlers_own() -> None:
    own = (("Cache-Control", "public, max-age=0"), ("a", "b"), ("cache-control", "s-maxage=5"))
    found = with_policy(Rendering(), "GET", 200, own, is_personal=False)
    shown = "public, max-age=0, s-maxage=5"
    assert found == (("a", "b"), ("cache-control", shown), ("x-vinext-shared-cache-control", shown))
    assert with_policy(Rendering(), "GET", 200, found, is_personal=False) == found


def test_no_store_removes_what_is_said_to_the_page_cache() -> None:
    rendering = Rendering()
    rendering.is_no_store = True
    given = (("cache-control", "public"), ("X-Vinext-Shared-Cache-Control", "s-maxage=5"))
    assert with_policy(rendering, "GET", 200, given, is_personal=False) == (("cache-control", "private, no-store"),)


@pytest.mark.parametrize(("is_no_store", "said"), [(False, True), (True, False)])
def test_an_answer_that_may_be_stored_says_that_its_data_was_stale(is_no_store: bool, said: bool) -> None:  # noqa: FBT001 - cases
    rendering = Rendering()
    before = rendering.policy()
    rendering.is_of_stale_data = True
    rendering.is_no_store = is_no_store
    found = with_policy(rendering, "GET", 200, (), is_personal=False)
    assert (("x-vinext-stale-data", "1") in found) is said
    assert rendering.policy() != before


async def test_a_decorator_speaks_of_the_answer_that_is_being_made() -> None:
    @revalidate(60, tags=["outer"], expire=600)
    async def outer(number: int) -> int:
        return inner(number)

    @revalidate(10, tags="inner")
    def inner(number: int) -> int:
        return number + 1

    rendering = Rendering()
    with rendering_as(rendering):
        assert await outer(1) == 2
    assert (rendering.effective_seconds, rendering.expire_seconds, rendering.tags) == (10, 600, ("outer", "inner"))
    assert await outer(2) == 3  # outside of a request it only calls
    assert list(inspect.signature(outer).parameters) == ["number"]
    assert inspect.iscoroutinefunction(outer)


def test_never_stale_is_longer_than_any_period() -> None:
    rendering = Rendering()
    with rendering_as(rendering):
        revalidate(seconds=False)(lambda: None)()
        assert rendering.effective_seconds == math.inf
        revalidate(5)(lambda: None)()
    assert rendering.effective_seconds == 5


def test_no_store_outside_of_a_request_does_nothing() -> None:
    no_store()
    assert current_rendering() is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seconds": -1}, "revalidate.revalidate is -1"),
        ({"seconds": None}, "revalidate.seconds is None"),
        ({"seconds": True}, "revalidate.revalidate is True"),
        ({"seconds": "60"}, "revalidate.revalidate is '60'"),
        ({"seconds": math.nan}, "revalidate.revalidate is nan"),
        ({"seconds": 60, "expire": 30}, "revalidate.expire is 30 .* no less than revalidate, which is 60"),
        ({"seconds": 60, "tags": [""]}, "revalidate.tags is ''"),
        ({"seconds": 60, "tags": [1]}, "revalidate.tags is"),
    ],
)
def test_a_wrong_decorator_fails_where_it_is_written(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        revalidate(**arguments)


def test_only_functions_are_decorated() -> None:
    with pytest.raises(InvalidArgumentError, match="a function"):
        revalidate(60)("page")  # type: ignore[arg-type]  # the mistake


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"body": 5}, "Page.body is 5"),
        ({"status": 99}, "Page.status is 99"),
        ({"status": "200"}, "Page.status is '200'"),
        ({"headers": {"a": 1}}, "Page.headers"),
        ({"headers": ["a"]}, "Page.headers"),
        ({"revalidate": -1}, "Page.revalidate is -1"),
        ({"expire": -1}, "Page.expire is -1"),
        ({"revalidate": 60, "expire": 1}, "Page.expire is 1"),
        ({"tags": ("",)}, "Page.tags"),
    ],
)
def test_a_wrong_page_names_its_field(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        Page(**{"body": "x", **fields})


def test_one_tag_may_be_a_text() -> None:
    assert Page("x", tags="posts").tags == ("posts",)  # type: ignore[arg-type]  # taken all the same
