"""Pages that a rule of the app may touch: the page handler answers them, which applies the rule."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.fakes.assets import FakeAssets
from tests.fakes.pages import FakePages, page, payload
from tests.fakes.worker import BUILD, FakeWorker, copied_build, record

from seed.rules import Rule

RULES = (Rule("/staging", is_prefix=True, name="proxy.ts: /staging/:path*"), Rule("/ab", is_prefix=False, name="redirects: /ab"))


async def worker() -> FakeWorker:
    build = replace(BUILD, rules=RULES)
    urls = ("/staging", "/staging/new", "/ab", "/abc")
    pages = FakePages({url: page(f"live {url}") for url in urls}, {url: payload() for url in urls})
    return await FakeWorker(FakeAssets(copied_build(build, record("/staging"), record("/ab"), record("/abc"))), pages).open()


@pytest.mark.parametrize("url", ["/staging", "/staging/new", "/ab"])
async def test_a_page_that_a_rule_may_touch_is_the_page_handler_s_each_time(url: str) -> None:
    served = await worker()
    for _ in range(2):
        got = await served.get(url)
        assert (got.state, got.text) == (None, f"live {url}")
    assert len(served.pages.answered) == 2
    assert served.kv is not None
    assert not [key for key in served.kv.stored if "staging" in key or key.endswith("/ab:html")]


@pytest.mark.parametrize("url", ["/staging.rsc", "/STAGING", "/%73taging", "/staging?_rsc=abc"])
async def test_no_spelling_of_its_url_is_answered_from_cache(url: str) -> None:
    served = await worker()
    assert (await served.get(url, {"RSC": "1"} if "rsc" in url else None)).state is None
    assert len(served.pages.answered) == 1


async def test_other_pages_are_answered_from_cache() -> None:
    served = await worker()
    assert [(await served.get(url)).state for url in ("/abc", "/abc.rsc")] == ["HIT", "HIT"]
    assert not served.pages.answered


async def test_a_build_that_does_not_tell_its_rules_answers_nothing_from_cache() -> None:
    files = copied_build(BUILD, record("/about"))
    files["/__prerender/build.json"] = files["/__prerender/build.json"].replace(b'"rules"', b'"others"')
    with pytest.raises(Exception, match="copy the build again"):
        await FakeWorker(FakeAssets(files), FakePages({})).open()
