"""Draft mode: only a cookie with the build's secret passes the cache by."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from tests.fakes.assets import FakeAssets
from tests.fakes.pages import FakePages, dynamic, page
from tests.fakes.worker import BUILD, FakeWorker, copied_build, record

from isr.draft_mode import is_draft
from seed.build import Build, ManifestError

SECRET = "363cac2b70822215900dfb3ef3c6298f"
DIGEST = hashlib.sha256(SECRET.encode()).hexdigest()
DRAFTS = replace(BUILD, draft_digest=DIGEST)

RIGHT = [
    f"__prerender_bypass={SECRET}",
    f"a=b; __prerender_bypass={SECRET}; c=d",
    f"__prerender_bypass={SECRET}; __next_preview_data=x.y.z.s",
    f"__prerender_bypass=other; __prerender_bypass={SECRET}",
    f'__prerender_bypass="{SECRET}"',
    f"__prerender_bypass=%33{SECRET[1:]}",
    f"a=b;__prerender_bypass={SECRET}",
]
FORGED = [
    "__prerender_bypass=1",
    "__prerender_bypass=",
    "__prerender_bypass",
    f"__prerender_bypass={SECRET.upper()}",
    f"__prerender_bypass={SECRET}0",
    f"__prerender_bypass={DIGEST}",
    f"x__prerender_bypass={SECRET}",
    f"a=__prerender_bypass={SECRET}",
    f"__prerender_bypass=1; other={SECRET}",
    "__prerender_bypass=%ff%zz\udc80é",
    "__next_preview_data=x.y.z.s",
]


@pytest.mark.parametrize("cookies", RIGHT)
def test_the_secret_is_known_in_each_form_that_vinext_reads(cookies: str) -> None:
    assert is_draft(cookies, DIGEST)


@pytest.mark.parametrize("cookies", [None, "", "a=b", *FORGED])
def test_anything_else_is_no_draft_mode(cookies: str | None) -> None:
    assert not is_draft(cookies, DIGEST)


def test_without_a_digest_every_such_cookie_counts() -> None:
    assert is_draft("__prerender_bypass=1", "")
    assert not is_draft("a=b", "")


@pytest.mark.parametrize("digest", ["x", SECRET, DIGEST.upper(), f"{DIGEST}0", None, 1])
def test_a_build_with_a_wrong_digest_is_refused(digest: object) -> None:
    text = DRAFTS.to_json().replace(f'"{DIGEST}"', {None: "null", 1: "1"}.get(digest, f'"{digest}"'))  # type: ignore[call-overload]
    with pytest.raises(ManifestError, match="draftDigest"):
        Build.from_json(text.encode(), "build.json")


async def opened(pages: FakePages) -> FakeWorker:
    return await FakeWorker(FakeAssets(copied_build(DRAFTS, record("/about"))), pages).open()


@pytest.mark.parametrize("cookies", RIGHT)
async def test_a_visitor_in_draft_mode_gets_what_is_rendered_now(cookies: str) -> None:
    worker = await opened(FakePages({"/about": dynamic("draft")}))
    got = await worker.get("/about", {"Cookie": cookies})
    assert (got.state, got.text) == (None, "draft")
    assert (await worker.get("/about")).text == "built page"


@pytest.mark.parametrize("cookies", FORGED)
async def test_a_forged_cookie_gets_what_everybody_gets(cookies: str) -> None:
    worker = await opened(FakePages({"/about": dynamic("draft"), "/new": page("for all", vary="")}))
    got = await worker.get("/about", {"Cookie": cookies})
    assert (got.state, got.text) == ("HIT", "built page")
    assert worker.pages.answered == []
    # It keeps no page from being stored either.
    assert [(await worker.get("/new", {"Cookie": cookies})).state for _ in range(2)] == ["MISS", "HIT"]
