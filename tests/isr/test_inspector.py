"""The inspector: who gets in, what it shows, what it changes, and that nothing in the cache can act through it."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from tests.fakes.assets import FakeAssets
from tests.fakes.kv import Stored
from tests.fakes.pages import FakeResponse, broken, dynamic, page, payload
from tests.fakes.ports import START_MS
from tests.fakes.stages import FakeStages, adding, doing
from tests.fakes.worker import BUILD, FakeWorker, copied_build

from cache.entry import AppPageValue
from cache.handler import SetContext
from core.body import BytesBody
from core.paths import INSPECT_URL
from isr.admin import WhyRequest
from isr.inspect_builds import COUNTED_AT_ONCE, PRUNED_AT_ONCE
from isr.inspect_entries import LISTED_AT_ONCE
from isr.inspect_session import COOKIE, LINK_SECONDS, MAX_WRONG, SESSION_SECONDS, WRONG_SECONDS, link_code
from isr.inspect_site import InspectedSite
from isr.inspect_tags import TAGS_AT_ONCE
from isr.inspector import Inspector
from isr.reasons import Bypass, Inadmissible
from isr.story import Outcome
from pages.handler import PageError
from pages.request import GivenHeaders, PageRequest
from seed.rules import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fakes.stages import Rule as StageRule

    from core.body import Body
    from isr.answer import CachedAnswer
    from seed.build import Build

TOKEN = "correct horse battery staple"
EVIL = '<script>alert("x")</script>'


@dataclass
class Browser:
    """Somebody with a cookie, and the inspector of a worker."""

    worker: FakeWorker
    origin: str = "https://example.com"
    cookie: str = ""
    address: str = "192.0.2.1"
    opened: int = 0
    inspector: Inspector = field(init=False)

    def __post_init__(self) -> None:
        self.inspector = Inspector(TOKEN, self.worker.clock, self.worker.log)

    async def ask(self, url: str = "", form: dict[str, str] | None = None) -> CachedAnswer:
        async def read_body(limit: int) -> Body | None:
            body = urlencode(form or {}).encode()
            return None if len(body) > limit else BytesBody(body)

        async def open_site() -> InspectedSite | None:
            self.opened += 1
            worker = self.worker
            parts = worker.why, worker.regeneration, worker.listing, worker.store.numbers
            return InspectedSite(worker.cache, worker.store, worker.site, *parts, START_MS, visit)

        def visit(url: str, headers: Mapping[str, str]) -> PageRequest:
            return WhyRequest(url, "GET", dict(headers)).of(self.origin)

        path, _, query = url.partition("?")
        headers = GivenHeaders({"Cookie": f"other=1; {self.cookie}", "CF-Connecting-IP": self.address})
        request = PageRequest("GET" if form is None else "POST", self.origin, f"{INSPECT_URL}{path}", query, headers)
        return await self.inspector.answer(request, read_body, open_site)

    async def sign_in(self, token: str = TOKEN) -> CachedAnswer:
        answer = await self.ask(form={"token": token})
        if (given := header(answer, "Set-Cookie")) is not None:
            self.cookie = given.partition(";")[0]
        return answer

    async def do(self, do: str, key: str, csrf: str | None = None) -> CachedAnswer:
        if csrf is None:
            csrf = str(re.findall(r'name="csrf" value="([0-9a-f]+)"', text(await self.ask()))[0])
        return await self.ask("/do", {"do": do, "key": key, "csrf": csrf})


def header(answer: CachedAnswer, name: str) -> str | None:
    return next((value for key, value in answer.headers if key == name), None)


def text(answer: CachedAnswer) -> str:
    assert answer.body is not None
    return answer.body.to_bytes().decode()


async def signed_in(**fields: object) -> Browser:
    browser = Browser(await FakeWorker(**fields).open())  # type: ignore[arg-type]
    assert (await browser.sign_in()).status == 303
    return browser


async def keep(worker: FakeWorker, path: str, body: str = "<p>kept", build: str | None = None, **headers: str) -> str:
    key = replace(worker.site, build_id=build or worker.site.build_id).key(path, "html")
    context = SetContext(tags=(f"_N_T_{path}", "posts"), revalidate=60)
    await worker.cache.set(key, AppPageValue(html=BytesBody(body.encode()), headers=headers, status=200), context)
    return key


async def test_the_right_token_signs_in_for_a_quarter_of_an_hour() -> None:
    browser = Browser(await FakeWorker().open())
    answer = await browser.sign_in()
    cookie = header(answer, "Set-Cookie") or ""
    assert (answer.status, header(answer, "Location")) == (303, INSPECT_URL)
    assert cookie.endswith(f"; Path=/__vinext; Max-Age={SESSION_SECONDS}; HttpOnly; SameSite=Strict; Secure")
    assert TOKEN not in cookie
    assert (await browser.ask()).status == 200
    browser.worker.clock.now_ms += SESSION_SECONDS * 1000
    assert (await browser.ask()).status == 401


async def test_without_https_the_cookie_is_sent_all_the_same() -> None:
    browser = Browser(await FakeWorker().open(), origin="http://127.0.0.1:8787")
    assert "Secure" not in (header(await browser.sign_in(), "Set-Cookie") or "")


@pytest.mark.parametrize("spoil", ["nothing", "later", "signature", "empty", "no number", "another token", "not ASCII"])
async def test_without_a_cookie_of_the_token_s_nothing_is_read_or_shown(spoil: str) -> None:
    browser = await signed_in()
    await keep(browser.worker, "/secret")
    name, _, value = browser.cookie.partition("=")
    until, _, signature = value.partition(".")
    assert name == COOKIE
    browser.cookie = {
        "nothing": "",
        "later": f"{COOKIE}={int(until) + 1}.{signature}",
        "signature": f"{COOKIE}={until}.{'0' * 64}",
        "empty": f"{COOKIE}=",
        "no number": f"{COOKIE}=x.{signature}",
        "another token": f"{COOKIE}={until}.{TOKEN}",
        "not ASCII": f"{COOKIE}={until}.ä",
    }[spoil]
    for url, form in [("", None), ("/entry?url=/secret", None), ("/body?key=x", None), ("/do", {"do": "remove", "key": "x"})]:
        answer = await browser.ask(url, form)
        assert (answer.status, "/secret" in text(answer), "Sign in" in text(answer)) == (401, False, True)
    assert browser.opened == 0


async def test_wrong_tokens_are_limited_for_each_address() -> None:
    browser = Browser(await FakeWorker().open())
    for _ in range(MAX_WRONG):
        answer = await browser.sign_in("wrong")
        assert (answer.status, header(answer, "Set-Cookie")) == (401, None)
    assert (await browser.sign_in()).status == 429
    browser.address = "192.0.2.2"
    assert (await browser.sign_in()).status == 303
    browser.address, browser.cookie = "192.0.2.1", ""
    browser.worker.clock.now_ms += WRONG_SECONDS * 1000
    assert (await browser.sign_in()).status == 303
    assert TOKEN not in str(browser.worker.log.lines)
    assert "wrong'" not in str(browser.worker.log.lines)


async def test_a_link_signs_in_once_within_a_minute_and_on_this_machine_alone() -> None:
    browser = Browser(await FakeWorker().open(), origin="http://127.0.0.1:8787")
    now = browser.worker.clock.now_ms // 1000
    code = link_code(TOKEN, now + 30, "nonce")
    answer = await browser.ask(f"?{urlencode({'once': code})}")
    cookie = (header(answer, "Set-Cookie") or "").partition(";")[0]
    assert (answer.status, header(answer, "Location")) == (303, INSPECT_URL)
    refused = [
        code,
        link_code(TOKEN, now, "old"),
        link_code(TOKEN, now + LINK_SECONDS + 1, "of the future"),
        link_code("another token", now + 30, "x"),
        "",
        "ä.b.c",
        f"{now + 30}.nonce-2.{code.rpartition('.')[2]}",
    ]
    for each in refused:
        answer = await browser.ask(f"?{urlencode({'once': each})}")
        assert (answer.status, header(answer, "Set-Cookie")) == (401, None)
    browser.origin = "https://example.com"
    assert (await browser.ask(f"?{urlencode({'once': link_code(TOKEN, now + 30, 'elsewhere')})}")).status == 401
    browser.cookie = cookie
    assert (await browser.ask()).status == 200
    assert (await browser.ask(f"?{urlencode({'once': code})}")).status == 303


@pytest.mark.parametrize("csrf", ["", "0" * 64, "ä"])
async def test_a_form_of_another_site_changes_nothing(csrf: str) -> None:
    browser = await signed_in()
    key = await keep(browser.worker, "/a")
    assert (await browser.do("remove", key, csrf)).status == 403
    assert (await browser.do("sign-out", "", csrf)).status == 403
    assert await browser.worker.cache.read(key) is not None
    assert (await browser.ask(f"/do?do=remove&key={key}")).status == 404


async def test_no_other_site_can_frame_a_page_and_none_of_it_is_kept_or_run() -> None:
    browser = await signed_in()
    key = await keep(browser.worker, "/a")
    for url in ("", "/entry?url=/a", f"/entry?{urlencode({'key': key})}", "/nothing"):
        answer = await browser.ask(url)
        policy = header(answer, "Content-Security-Policy") or ""
        for part in ("default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "style-src 'sha256-"):
            assert part in policy
        assert "unsafe" not in policy
        assert (header(answer, "X-Frame-Options"), header(answer, "Cache-Control")) == ("DENY", "no-store")
        assert header(answer, "X-Content-Type-Options") == "nosniff"
    answer = await browser.ask(f"/body?{urlencode({'key': key})}")
    policy = header(answer, "Content-Security-Policy") or ""
    assert policy.startswith("sandbox; default-src 'none'; ")
    assert "script" not in policy
    assert (header(answer, "X-Frame-Options"), text(answer)) == ("SAMEORIGIN", "<p>kept")


async def test_what_the_cache_keeps_is_text_on_each_page() -> None:
    browser = await signed_in()
    worker = browser.worker
    key = worker.site.key(f"/{EVIL}", "html")
    value = AppPageValue(html=BytesBody(EVIL.encode()), headers={"x-evil": EVIL}, status=200)
    await worker.cache.set(key, value, SetContext(tags=(EVIL,), revalidate=60))
    for url in (
        "",
        f"?{urlencode({'prefix': EVIL, 'tag': EVIL, 'router': EVIL})}",
        f"/entry?{urlencode({'key': key})}",
        f"/entry?{urlencode({'key': key, 'done': EVIL})}",
        f"/entry?{urlencode({'url': f'/{EVIL}'})}",
        f"/entry?{urlencode({'key': EVIL})}",
        f"/entry?{urlencode({'key': key, 'url': 'x'})}",
    ):
        shown = text(await browser.ask(url))
        assert "<script" not in shown
    shown = text(await browser.ask(f"/entry?{urlencode({'key': key})}"))
    assert shown.count(html.escape(EVIL)) >= 4  # the path, the tag, the header and the body
    assert '<iframe src="' in shown
    assert ' sandbox=""' in shown


async def test_no_page_reads_more_than_it_shows() -> None:
    browser = await signed_in()
    worker = browser.worker
    assert worker.kv is not None
    for number in range(LISTED_AT_ONCE + 5):
        await keep(worker, f"/docs/{number:03d}")
    await keep(worker, "/other")
    other = await FakeWorker(assets=worker.assets, kv=worker.kv, clock=worker.clock).open()
    browser.worker = other
    worker.kv.operations.clear()
    first = text(await browser.ask("?prefix=/docs"))
    assert (worker.kv.count("list"), worker.kv.count("get")) == (1, LISTED_AT_ONCE)
    assert (first.count(">/docs/"), ">/docs/049</a>" in first, "/other" in first) == (LISTED_AT_ONCE, True, False)
    (more,) = re.findall(rf'href="{INSPECT_URL}(\?[^"]*)" rel="next"', first)
    second = text(await browser.ask(html.unescape(more)))
    assert (second.count(">/docs/"), "Next page" in second) == (5, False)
    tagged = text(await browser.ask("?prefix=/docs&tag=nobody-s"))
    assert "Of 50 entries read, 0 carry the tag" in tagged
    assert "Next page" in tagged


async def test_a_row_says_the_state_and_a_corrupt_entry_its_reason() -> None:
    browser = await signed_in()
    worker = browser.worker
    assert worker.kv is not None
    await keep(worker, "/fresh")
    key = await keep(worker, "/corrupt")
    worker.kv.stored[f"cache:{key}"].value = b"{"
    worker.kv.stored[f"cache:{key}"].metadata = None
    browser.worker = await FakeWorker(assets=worker.assets, kv=worker.kv, clock=worker.clock).open()
    shown = text(await browser.ask())
    row = r'<td data-name="state"><div>([^<]*)</div></td><td data-name="age"><div>([^<]*)</div>'
    assert [state.partition(":")[0] for state, _ in re.findall(row, shown)] == ["an entry that is corrupt", "fresh"]
    worker.clock.now_ms += 61_000
    assert ("stale", "61 s") in re.findall(row, text(await browser.ask()))
    assert "an entry that is corrupt" in text(await browser.ask(f"/entry?{urlencode({'key': key})}"))


async def test_buttons_revalidate_make_stale_and_remove() -> None:
    browser = await signed_in()
    worker = browser.worker
    key = await keep(worker, "/a")
    assert (await worker.get("/a")).state == "HIT"
    answer = await browser.do("stale", key)
    assert (answer.status, header(answer, "Location")) == (303, f"{INSPECT_URL}/entry?{urlencode({'key': key, 'done': 'stale'})}")
    assert (await worker.why.explain(PageRequest("GET", browser.origin, "/a", "", GivenHeaders({})))).outcome == "STALE"
    await browser.do("revalidate", key)
    assert (await worker.why.explain(PageRequest("GET", browser.origin, "/a", "", GivenHeaders({})))).outcome == "MISS"
    worker.clock.now_ms += 1000
    key = await keep(worker, "/a")
    assert worker.kv is not None
    assert f"cache:{key}" in worker.kv.stored
    await browser.do("remove", key)
    assert f"cache:{key}" not in worker.kv.stored
    assert await worker.cache.read(key) is None
    assert (await browser.do("burn", key)).status == 400
    assert (await browser.do("remove", "unstable_cache:v2:0")).status == 404


async def test_the_story_and_the_entries_of_a_url() -> None:
    browser = await signed_in()
    await keep(browser.worker, "/a", "<p>hello", **{"x-of": "the page"})
    shown = text(await browser.ask("/entry?url=/a"))
    for part in ("HIT: served.fresh", "x-of", "the page", "&lt;p&gt;hello", "Revalidate now"):
        assert part in shown
    assert "passed on: pass.method" not in shown
    assert (await browser.ask("/entry?url=nothing")).status == 400


async def test_a_cache_that_nobody_can_list_is_said_to_be_one() -> None:
    browser = await signed_in(in_memory=True)
    await keep(browser.worker, "/a")
    assert "Nobody can list this cache" in text(await browser.ask())
    assert "HIT: served.fresh" in text(await browser.ask("/entry?url=/a"))


async def test_a_store_that_fails_is_said_to_fail() -> None:
    browser = await signed_in()

    async def fail(operation: str, key: str) -> None:
        raise OSError(f"{operation} of {key} failed")

    assert browser.worker.kv is not None
    browser.worker.kv.before = fail
    answer = await browser.ask()
    assert (answer.status, "This cannot be shown: OSError: list of" in text(answer)) == (500, True)


async def of_build(build: Build = BUILD, **fields: object) -> Browser:
    return await signed_in(assets=FakeAssets(copied_build(build)), **fields)


async def test_regenerate_renders_the_page_now_and_stores_it() -> None:
    browser = await signed_in()
    worker = browser.worker
    key = await keep(worker, "/a", "<p>old")
    worker.pages.documents["/a"] = page("<p>new")
    worker.pages.payloads["/a"] = payload()
    answer = await browser.do("regenerate", key)
    assert header(answer, "Location") == f"{INSPECT_URL}/entry?{urlencode({'key': key, 'done': 'regenerate'})}"
    assert [(asked.path, asked.rsc) for asked in worker.pages.rendered] == [("/a", False), ("/a", True)]
    got = await worker.get("/a")
    assert (got.state, got.text) == ("HIT", "<p>new")
    assert "The page was rendered just now" in text(await browser.ask(f"/entry?{urlencode({'key': key, 'done': 'regenerate'})}"))


@pytest.mark.parametrize("is_there", [True, False], ids=["an entry", "no entry any more"])
async def test_regenerate_goes_through_the_request_stage_where_a_rule_touches_the_page(*, is_there: bool) -> None:
    pages = FakeStages(rules={"/ruled": adding(x_nonce="abc")})
    build = replace(BUILD, rules=(Rule("/ruled", is_prefix=True, name="proxy.ts"),))
    browser = await of_build(build, pages=pages)
    pages.documents["/ruled"], pages.payloads["/ruled"] = page("<p>new"), payload()
    key = await keep(browser.worker, "/ruled", "<p>old")
    if not is_there:
        await browser.do("remove", key)
        browser.worker.clock.now_ms += 1000
    assert (await browser.do("regenerate", key)).status == 303
    assert [asked.replay is not None for asked in pages.rendered] == ([True] if is_there else [])
    got = await browser.worker.get("/ruled")
    assert (got.state, got.text, got.header("x-nonce")) == ("HIT", "<p>new", "abc")
    assert len(pages.stage_rendered) == 1


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (doing(rewrite="/b"), "a rule of the app leads to another page, /b"),
        (doing(own=FakeResponse(307, {"location": "/login"})), "a rule of the app answers"),
        (doing(own=PageError("the proxy failed")), "the proxy failed"),
    ],
    ids=["a rewrite", "a redirect", "a failure"],
)
async def test_what_a_rule_keeps_from_being_regenerated_is_said(rule: StageRule, reason: str) -> None:
    pages = FakeStages(rules={"/ruled": rule})
    browser = await of_build(replace(BUILD, rules=(Rule("/ruled", is_prefix=True, name="proxy.ts"),)), pages=pages)
    key = await keep(browser.worker, "/ruled")
    got = await browser.do("regenerate", key)
    assert (got.status, reason in text(got)) == (502, True)
    assert await browser.worker.cache.read(key) is not None


@pytest.mark.parametrize(
    ("answer", "reason", "is_kept"),
    [
        (PageError("no answer in 60 s"), "no answer in 60 s", True),
        (broken(), "status 500", True),
        (dynamic(), "no-store", False),
    ],
    ids=["no answer", "failure", "no longer for everybody"],
)
async def test_a_page_that_cannot_be_regenerated_is_said_to_be_one_with_the_reason(
    answer: FakeResponse | Exception, reason: str, *, is_kept: bool
) -> None:
    browser = await signed_in()
    key = await keep(browser.worker, "/a")
    browser.worker.pages.documents["/a"] = answer
    got = await browser.do("regenerate", key)
    assert (got.status, "The page is not regenerated" in text(got), reason in text(got)) == (502, True, True)
    assert urlencode({"key": key}) in text(got)
    entry = await browser.worker.cache.read(key)
    assert (entry is not None and entry.value is not None) is is_kept


async def test_tags_are_listed_with_their_markers_a_page_at_a_time() -> None:
    browser = await signed_in()
    worker = browser.worker
    assert worker.kv is not None
    assert "The store has no tag that was invalidated at once" in text(await browser.ask("/tags"))
    await worker.store.revalidate_tags([f"post-{number:03d}" for number in range(TAGS_AT_ONCE + 5)])
    await worker.store.revalidate_tags([EVIL])
    await worker.store.revalidate_tags(["news"], 60)
    worker.kv.stored["__tag:post-001"].value = b"soon"
    worker.kv.operations.clear()
    first = text(await browser.ask("/tags?prefix=post-"))
    assert (worker.kv.count("list"), worker.kv.count("get_texts"), len(worker.kv.operations)) == (1, 1, 2)
    assert first.count(">post-") == TAGS_AT_ONCE
    assert first.count("2023-11-14T22:13:20") >= TAGS_AT_ONCE - 1
    assert "a marker that cannot be read" in first
    (more,) = re.findall(rf'href="{INSPECT_URL}(/tags[^"]*)" rel="next"', first)
    assert text(await browser.ask(html.unescape(more))).count(">post-") == 5
    everything = text(await browser.ask(f"/tags?{urlencode({'prefix': '<'})}"))
    assert ("<script" in everything, html.escape(EVIL) in everything) == (False, True)
    stale = text(await browser.ask("/tags?kind=stale"))
    assert (">news</a>" in stale, "are stale until 2023-11-14T22:14:20" in stale, "post-" in stale) == (True, True, False)
    worker.clock.now_ms += 61_000
    assert "and are gone" in text(await browser.ask("/tags?kind=stale"))


async def test_the_isolate_s_own_numbers_are_shown() -> None:
    browser = await of_build()
    numbers = browser.worker.store.numbers
    assert "no requests yet" in text(await browser.ask("/numbers"))
    numbers.answered(Outcome.HIT, None, 12_345, 4)
    numbers.answered(Outcome.PASSED_ON, Bypass.QUERY, 0, 20)
    numbers.refuse(Inadmissible.NO_STORE)
    shown = re.sub(r"(<[^>]*>)+", " ", text(await browser.ask("/numbers")))
    for part in ("2023-11-14T22:13:20.123Z", "50.0 %", "12,345", "HIT 1 4.0 ms", "pass.query a query 1", "answer.no-store"):
        assert part in shown


async def test_builds_are_counted_a_page_at_a_time() -> None:
    browser = await of_build()
    worker = browser.worker
    assert worker.kv is not None
    for build, count in [("b-old", COUNTED_AT_ONCE - 1), ("build-1", 3), (EVIL.replace("/", ""), 1)]:
        for number in range(count):
            worker.kv.stored[f"cache:app:v2:{build}:/{number}:html"] = Stored(b"")
    worker.kv.stored["cache:unstable_cache:v2:0"] = Stored(b"")
    worker.kv.operations.clear()
    first = text(await browser.ask("/builds"))
    assert worker.kv.operations == [("list", "cache:")]
    cell = r'<td data-name="entries"><div>([^<]*)</div>'
    assert re.findall(cell, first) == ["more than 0", "more than 998"]
    assert "<script" not in first
    (more,) = re.findall(rf'href="{INSPECT_URL}(/builds[^"]*)" rel="next"', first)
    second = text(await browser.ask(html.unescape(more)))
    assert re.findall(cell, second) == ["1", "999", "3"]
    assert "Entries counted: 1004, of which 1 name no build, as those of the data cache. These are all." in second
    assert (second.count("this Worker serves it"), second.count("this Worker does not serve it")) == (1, 2)
    for counts in ("x", "[]", '{"a":"b"}', '{"a":-1}'):
        assert (await browser.ask(f"/builds?{urlencode({'counts': counts})}")).status == 400


async def test_a_build_that_is_not_in_use_is_removed_after_a_question() -> None:
    browser = await of_build()
    worker = browser.worker
    assert worker.kv is not None
    key = await keep(worker, "/a")
    for number in range(PRUNED_AT_ONCE + 5):
        worker.kv.stored[f"cache:app:v2:old:/{number:03d}:html"] = Stored(b"")
    others = ("cache:app:v2:older:/a:html", "cache:app:v2:old:er:/a:html", "cache:unstable_cache:v2:old:/a")
    worker.kv.stored |= dict.fromkeys(others, Stored(b""))
    asked = text(await browser.ask("/builds?prune=old"))
    assert ("Remove the entries of the build old?" in asked, 'value="old"' in asked) == (True, True)
    csrf = re.findall(r'name="csrf" value="([0-9a-f]+)"', asked)[0]
    assert (await browser.ask("/do", {"do": "prune", "build": "old", "csrf": "0" * 64})).status == 403
    assert len(worker.stored_pages) == PRUNED_AT_ONCE + 9
    answer = await browser.ask("/do", {"do": "prune", "build": "old", "csrf": csrf})
    told = text(await browser.ask((header(answer, "Location") or "").removeprefix(INSPECT_URL)))
    assert (f"that were removed: {PRUNED_AT_ONCE}." in told, "Remove more" in told) == (True, True)
    answer = await browser.ask("/do", {"do": "prune", "build": "old", "csrf": csrf})
    told = text(await browser.ask((header(answer, "Location") or "").removeprefix(INSPECT_URL)))
    assert ("that were removed: 5." in told, "Remove more" in told) == (True, False)
    assert sorted(worker.stored_pages) == sorted((*others, f"cache:{key}"))
    # A build whose ID is the beginning of many others' is not looked for without an end.
    for number in range(PRUNED_AT_ONCE * 25):
        worker.kv.stored[f"cache:app:v2:x:{number:05d}:/a:html"] = Stored(b"")
    worker.kv.operations.clear()
    assert (await browser.ask("/do", {"do": "prune", "build": "x", "csrf": csrf})).status == 303
    assert (worker.kv.count("list"), worker.kv.count("delete")) == (20, 0)
    for build in ("build-1", ""):
        assert (await browser.ask("/do", {"do": "prune", "build": build, "csrf": csrf})).status in {400, 409}
    assert (await browser.ask("/builds?prune=build-1")).status == 409
    assert f"cache:{key}" in worker.kv.stored


async def test_an_entry_of_another_build_is_shown_and_only_removed() -> None:
    browser = await of_build()
    worker = browser.worker
    key = await keep(worker, "/a", build="old")
    listed = text(await browser.ask("?build=old"))
    assert ("The entries of the build old, which this Worker does not serve." in listed, ">/a</a>" in listed) == (True, True)
    shown = text(await browser.ask(f"/entry?{urlencode({'key': key})}"))
    assert "It is of the build old, and this Worker serves build-1." in shown
    assert ("&lt;p&gt;kept" in shown, "Remove" in shown, "Revalidate now" in shown) == (True, True, False)
    for do in ("revalidate", "stale", "regenerate"):
        assert (await browser.do(do, key)).status == 409
    assert (await browser.do("remove", key)).status == 303
    assert worker.stored_pages == []
