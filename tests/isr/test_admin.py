"""The endpoints below `/__vinext/`: authentication, requests and answers."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from tests.fakes.pages import page
from tests.fakes.ports import START_MS, FakeClock, FakeLog
from tests.fakes.tag_objects import FakeTagObjects
from tests.fakes.worker import FakeWorker

from cache.entry import AppPageValue, CacheEntry
from cache.lease import NoLease, SharedLease
from cache.memory import MemoryCacheHandler
from cache.stored import whole_bytes, write_vinext
from core.body import BytesBody
from core.errors import InvalidationError
from core.paths import is_admin
from isr.admin import MAX_LINES, MAX_NAMES, MAX_REQUEST_BYTES, Admin, AdminCache, RevalidateRequest, revalidate
from pages.handler import PageError
from pages.request import PageRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from core.body import Body
    from isr.answer import CachedAnswer

TOKEN = "correct horse battery staple"
BEARER = {"authorization": f"Bearer {TOKEN}"}


@dataclass
class Invalidations:
    tags: list[tuple[str, ...]] = field(default_factory=list)
    stale_seconds: list[float | None] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    failure: Exception | None = None
    unwritten: tuple[str, ...] = ()

    async def revalidate_tags(self, tags: Iterable[str], stale_seconds: float | None = None) -> tuple[str, ...]:
        if self.failure is not None:
            raise self.failure
        self.tags.append(tuple(tags))
        self.stale_seconds.append(stale_seconds)
        return self.unwritten

    async def revalidate_path_prefix(self, prefix: str) -> tuple[str, ...]:
        self.prefixes.append(prefix)
        return self.unwritten


@dataclass
class Endpoint:
    token: str | None = TOKEN
    is_open: bool = True
    is_tenant: bool = True
    invalidations: Invalidations = field(default_factory=Invalidations)
    log: FakeLog = field(default_factory=FakeLog)
    read: int = 0
    opened: int = 0

    def __post_init__(self) -> None:
        self.why: Any = None
        self.objects = FakeTagObjects(FakeClock())
        self.handler: Any = MemoryCacheHandler(10_000_000, FakeClock(2000))

    async def ask(
        self,
        path: str,
        body: bytes | Exception = b"",
        *,
        headers: Mapping[str, str] = BEARER,
        method: str = "POST",
        size: int | None = None,
    ) -> CachedAnswer:
        async def read_body(limit: int) -> Body | None:
            self.read += 1
            if isinstance(body, Exception):
                raise body
            return None if (size or len(body)) > limit else BytesBody(body)

        async def open_cache() -> AdminCache | None:
            self.opened += 1
            lease = SharedLease(self.objects, NoLease(), self.log)
            return AdminCache(self.handler, self.invalidations, self.why, lease) if self.is_open else None

        path, _, query = path.partition("?")
        request = PageRequest(method, "https://example.com", path, query, dict(headers))
        assert is_admin(request.path)
        admin = Admin(self.token, self.log, lambda: "counters\n", is_tenant=self.is_tenant)
        return await admin.answer(request, read_body, open_cache)


def document(answer: CachedAnswer) -> Any:
    assert answer.body is not None
    return json.loads(answer.body.to_bytes())


def line(key: object = "app:v2:b:/a:html", html: bytes = b"<p>", **changes: Any) -> bytes:
    entry = CacheEntry.make(AppPageValue(html=BytesBody(html), headers={"x": "y"}, status=200), ("a", "b"), 1000, 60, 3600)
    return json.dumps({"key": key} | json.loads(whole_bytes(write_vinext(entry, bounded=True))) | changes).encode()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/__vinext/seed", True),
        ("/__vinext", True),
        ("/__vinext/", True),
        ("/__vinext/nothing", True),
        ("/__VINEXT/seed", True),
        ("/%5F_vinext/seed", True),
        ("/%5f%5Fvinext/seed", True),
        ("//__vinext/seed", True),
        ("/a/../__vinext/seed", True),
        ("/%255f_vinext/seed", True),
        ("/__vinext-not", False),
        ("/docs/__vinext/seed", False),
        ("/_vinext/image", False),
        ("/vinext", False),
        ("/", False),
    ],
)
def test_every_spelling_of_the_folder_leads_to_the_endpoints(path: str, expected: bool) -> None:  # noqa: FBT001
    assert is_admin(path) is expected


@pytest.mark.parametrize(
    ("method", "headers", "status", "content_type"),
    [
        ("GET", BEARER, 200, "text/plain; version=0.0.4; charset=utf-8"),
        ("GET", {}, 401, "application/json"),
        ("GET", {"authorization": "Bearer wrong"}, 401, "application/json"),
        ("POST", BEARER, 405, "application/json"),
    ],
)
async def test_the_counters_are_for_those_who_have_the_token(
    method: str, headers: dict[str, str], status: int, content_type: str
) -> None:
    endpoint = Endpoint(is_open=False)
    answer = await endpoint.ask("/__vinext/metrics", method=method, headers=headers)
    assert (answer.status, dict(answer.headers)["Content-Type"]) == (status, content_type)
    assert (endpoint.read, endpoint.opened) == (0, 0)
    assert answer.body is not None
    assert (answer.body.to_bytes() == b"counters\n") == (status == 200)


@pytest.mark.parametrize("path", ["/__vinext/seed", "/__vinext/revalidate", "/__vinext/metrics", "/__vinext/other"])
async def test_without_a_token_there_are_no_endpoints(path: str) -> None:
    endpoint = Endpoint(token=None)
    answer = await endpoint.ask(path, line())
    assert (answer.status, endpoint.read, endpoint.opened) == (404, 0, 0)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="none"),
        pytest.param({"authorization": "Bearer wrong"}, id="wrong"),
        pytest.param({"authorization": f"Bearer {TOKEN}x"}, id="longer"),
        pytest.param({"authorization": f"Bearer {TOKEN[:-1]}"}, id="shorter"),
        pytest.param({"authorization": "Bearer "}, id="empty"),
        pytest.param({"authorization": f"Basic {TOKEN}"}, id="basic"),
        pytest.param({"authorization": TOKEN}, id="bare"),
        pytest.param({"authorization": "Bearer tökén"}, id="not ASCII"),
    ],
)
async def test_without_the_right_token_nothing_is_read_or_revealed(headers: dict[str, str]) -> None:
    endpoint = Endpoint()
    for path in ("/__vinext/seed", "/__vinext/why", "/__vinext/other"):
        answer = await endpoint.ask(path, line(), headers=headers)
        assert answer.status == 401
        assert ("WWW-Authenticate", "Bearer") in answer.headers
        assert TOKEN not in str(document(answer))
    assert (endpoint.read, endpoint.opened) == (0, 0)
    assert TOKEN not in str(endpoint.log.lines)


async def test_the_scheme_of_a_token_may_be_in_lower_case() -> None:
    assert (await Endpoint().ask("/__vinext/seed", line(), headers={"authorization": f"bearer {TOKEN}"})).status == 200


async def test_other_methods_and_other_paths_are_refused() -> None:
    answer = await Endpoint().ask("/__vinext/seed", method="GET")
    assert (answer.status, ("Allow", "POST") in answer.headers) == (405, True)
    assert (await Endpoint().ask("/__vinext/other")).status == 404


async def test_a_host_without_a_cache_is_told_so_and_not_asked_to_try_again() -> None:
    answer = await Endpoint(is_tenant=False).ask("/__vinext/why", b'{"url": "/a"}')
    assert (answer.status, "Retry-After" in dict(answer.headers)) == (421, False)
    assert document(answer) == {"error": "example.com is none of the hosts in VINEXT_TENANTS, so nothing is cached for it"}


async def test_while_the_build_is_unknown_the_answer_is_503_with_the_reason() -> None:
    answer = await Endpoint(is_open=False).ask("/__vinext/seed", line())
    assert answer.status == 503
    assert "build cannot be read" in document(answer)["error"]


async def test_entries_reach_the_handler_with_their_tags_and_times() -> None:
    endpoint = Endpoint()
    body = b"\n".join([line(), line("app:v2:b:/b:html", b"second"), b""])
    answer = await endpoint.ask("/__vinext/seed", body)
    assert (answer.status, document(answer)) == (200, {"accepted": 2, "refused": []})
    assert ("Cache-Control", "no-store") in answer.headers
    entry = await endpoint.handler.get("app:v2:b:/a:html")
    assert (entry.tags, entry.last_modified_ms, entry.revalidate_at_ms, entry.expire_at_ms) == (
        ("a", "b"),
        1000,
        61_000,
        3_601_000,
    )
    assert (entry.value.html.to_bytes(), entry.value.headers) == (b"<p>", {"x": "y"})


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        pytest.param(b"{not JSON", "not JSON", id="not JSON"),
        pytest.param(b"[]", "an object with a key", id="no object"),
        pytest.param(line(None), "an object with a key", id="no key"),
        pytest.param(line(""), "an object with a key", id="empty key"),
        pytest.param(line(5), "an object with a key", id="key is no string"),
        pytest.param(line(tags="a"), "entry.tags", id="tags"),
        pytest.param(line(value={"kind": "OTHER"}), "value.kind", id="kind"),
        pytest.param(line(lastModified="now"), "lastModified", id="time"),
    ],
)
async def test_an_invalid_line_is_reported_and_the_others_are_written(bad: bytes, error: str) -> None:
    endpoint = Endpoint()
    answer = await endpoint.ask("/__vinext/seed", b"\n".join([line("one"), bad, line("two")]))
    report = document(answer)
    assert (answer.status, report["accepted"]) == (200, 2)
    assert report["refused"][0]["line"] == 2
    assert error in report["refused"][0]["error"]
    assert await endpoint.handler.get("two") is not None


async def test_a_handler_that_raises_is_reported() -> None:
    class Broken(MemoryCacheHandler):
        async def set(self, key: str, value: object, context: object = None) -> None:
            raise RuntimeError("the store is away")

    endpoint = Endpoint()
    endpoint.handler = Broken(1, FakeClock())
    report = document(await endpoint.ask("/__vinext/seed", line()))
    assert report == {
        "accepted": 0,
        "refused": [{"line": 1, "key": "app:v2:b:/a:html", "error": "RuntimeError: the store is away"}],
    }


async def test_six_entries_are_written_at_a_time() -> None:
    """A Worker may have six connections waiting for their answer."""
    in_progress: list[int] = []

    class Counting(MemoryCacheHandler):
        is_writing = 0

        async def set(self, key: str, value: object, context: object = None) -> None:
            self.is_writing += 1
            in_progress.append(self.is_writing)
            await asyncio.sleep(0)
            self.is_writing -= 1

    endpoint = Endpoint()
    endpoint.handler = Counting(1, FakeClock())
    report = document(await endpoint.ask("/__vinext/seed", b"\n".join(line(f"{number}") for number in range(14))))
    assert (report["accepted"], len(in_progress), max(in_progress)) == (14, 14, 6)


@pytest.mark.parametrize(
    ("body", "size", "status", "error"),
    [
        pytest.param(b"", None, 400, "empty", id="empty"),
        pytest.param(b"\n \n", None, 400, "empty", id="blank"),
        pytest.param(b"\n".join([line()] * (MAX_LINES + 1)), None, 400, "more than 100 entries", id="lines"),
        pytest.param(b"", MAX_REQUEST_BYTES + 1, 413, "larger than", id="bytes"),
        pytest.param(PageError("gone"), None, 400, "broke off", id="cut"),
    ],
)
async def test_a_request_is_bounded(body: bytes | Exception, size: int | None, status: int, error: str) -> None:
    answer = await Endpoint().ask("/__vinext/seed", body, size=size)
    assert answer.status == status
    assert error in document(answer)["error"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param(b"\n" * MAX_REQUEST_BYTES, "empty", id="newlines"),
        pytest.param(b" \r\n" * (MAX_REQUEST_BYTES // 3), "empty", id="blank lines"),
        pytest.param(b"0\n" * (MAX_REQUEST_BYTES // 2), "more than 100 entries", id="short lines"),
    ],
)
async def test_very_many_lines_are_refused_without_a_list_of_them(body: bytes, error: str) -> None:
    tracemalloc.start()
    answer = await Endpoint().ask("/__vinext/seed", body)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status == 400
    assert error in document(answer)["error"]
    assert peak_bytes < 1_000_000


async def test_lines_are_counted_blank_ones_too() -> None:
    report = document(await Endpoint().ask("/__vinext/seed", b"\n \n" + line("one") + b"\n\nbad\n" + line("two")))
    assert (report["accepted"], [refused["line"] for refused in report["refused"]]) == (2, [5])


@pytest.mark.parametrize(
    ("wanted", "tags", "prefixes"),
    [
        pytest.param({"tags": ["products"]}, ["products"], [], id="tag"),
        pytest.param({"paths": ["/blog"]}, ["_N_T_/blog"], [], id="path"),
        pytest.param({"paths": ["/blog/"]}, ["_N_T_/blog"], [], id="slash"),
        pytest.param({"paths": ["/"]}, ["_N_T_/"], [], id="root"),
        pytest.param({"paths": [{"path": "/", "type": "layout"}]}, ["_N_T_/layout"], [], id="layout"),
        pytest.param({"paths": [{"path": "/blog/[slug]", "type": "page"}]}, ["_N_T_/blog/[slug]/page"], [], id="page"),
        pytest.param({"paths": ["/%E6%97%A5"]}, ["_N_T_/日"], [], id="encoded"),
        pytest.param({"prefixes": ["/docs"]}, None, ["/docs"], id="prefix"),
        pytest.param({"tags": ["a", "a"], "paths": ["/a"], "prefixes": ["/b"]}, ["a", "_N_T_/a"], ["/b"], id="all"),
    ],
)
async def test_invalidations_take_effect(wanted: object, tags: list[str] | None, prefixes: list[str]) -> None:
    endpoint = Endpoint()
    answer = await endpoint.ask("/__vinext/revalidate", json.dumps(wanted).encode())
    assert (answer.status, document(answer)) == (200, {"tags": tags or [], "prefixes": prefixes})
    assert endpoint.invalidations.tags == ([] if tags is None else [tuple(tags)])
    assert endpoint.invalidations.prefixes == prefixes
    assert endpoint.invalidations.stale_seconds == [None] * len(endpoint.invalidations.tags)


@pytest.mark.parametrize("seconds", [1, 0.5, 3600, 4_294_967_294])
async def test_tags_and_paths_can_become_stale(seconds: float) -> None:
    endpoint = Endpoint()
    wanted = {"tags": ["a"], "paths": ["/b"], "stale": seconds}
    answer = await endpoint.ask("/__vinext/revalidate", json.dumps(wanted).encode())
    assert (answer.status, document(answer)) == (200, {"tags": ["a", "_N_T_/b"], "prefixes": [], "stale": seconds})
    assert (endpoint.invalidations.tags, endpoint.invalidations.stale_seconds) == ([("a", "_N_T_/b")], [seconds])
    assert endpoint.log.lines[-1][2]["stale"] == seconds


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(b"[]", "must be an object", id="list"),
        pytest.param(b"{}", "must be an object", id="nothing"),
        pytest.param(b'{"tag": ["a"]}', "must be an object with some of tags, paths, prefixes", id="misspelt"),
        pytest.param(b'{"tags": "a"}', "must be lists", id="no list"),
        pytest.param(b'{"tags": []}', "0 tags, paths and prefixes", id="empty list"),
        pytest.param(json.dumps({"tags": ["a"] * 401}).encode(), "401 tags, paths and prefixes, allowed: 1 to 400", id="many"),
        pytest.param(json.dumps({"prefixes": ["/a"] * 11}).encode(), "11 prefixes, allowed: 10 a request", id="many prefixes"),
        pytest.param(b'{"tags": [""]}', "is no tag", id="empty tag"),
        pytest.param(b'{"tags": [5]}', "is no tag", id="number"),
        pytest.param(b'{"paths": ["blog"]}', "begins with /", id="relative"),
        pytest.param(b'{"paths": [{"path": "/a", "kind": "page"}]}', "neither a path nor", id="field"),
        pytest.param(b'{"paths": [{"path": "/a", "type": "route"}]}', "neither page nor layout", id="type"),
        pytest.param(b'{"prefixes": [""]}', "begins with /", id="prefix"),
        pytest.param(b'{"tags": ["a"], "stale": 0}', "stale is 0, allowed: seconds above 0", id="stale for no time"),
        pytest.param(b'{"tags": ["a"], "stale": true}', "stale is True, allowed", id="stale without a time"),
        pytest.param(b'{"tags": ["a"], "stale": "60"}', "stale is '60', allowed", id="stale for a text"),
        pytest.param(b'{"tags": ["a"], "stale": 1e12}', "at most 4294967294", id="stale for too long"),
        pytest.param(b'{"stale": 60}', "0 tags, paths and prefixes", id="nothing stale"),
        pytest.param(b'{"prefixes": ["/a"], "stale": 60}', "stale is for tags and paths", id="stale prefix"),
    ],
)
async def test_a_wrong_request_is_400_with_the_reason_and_changes_nothing(body: bytes, error: str) -> None:
    endpoint = Endpoint()
    answer = await endpoint.ask("/__vinext/revalidate", body)
    assert answer.status == 400
    assert error in document(answer)["error"]
    assert endpoint.invalidations == Invalidations()


@pytest.mark.parametrize("failure", [InvalidationError(("a",), "the store is away"), RuntimeError("D1_ERROR")], ids=repr)
async def test_a_failed_invalidation_is_reported_as_a_failure(failure: Exception) -> None:
    endpoint = Endpoint(invalidations=Invalidations(failure=failure))
    answer = await endpoint.ask("/__vinext/revalidate", b'{"tags": ["a"]}')
    assert (answer.status, "call again to retry" in document(answer)["error"]) == (503, True)
    assert endpoint.log.names() == ["admin.refused"]


async def test_tags_that_are_not_written_yet_are_told() -> None:
    endpoint = Endpoint(invalidations=Invalidations(unwritten=("b", "c")))
    answer = await endpoint.ask("/__vinext/revalidate", b'{"tags": ["a", "b"], "prefixes": ["/c"]}')
    assert (answer.status, document(answer)) == (
        202,
        {"tags": ["a", "b"], "prefixes": ["/c"], "unwritten": ["b", "c"]},
    )
    assert endpoint.log.lines[-1][2]["unwritten"] == ("b", "c")


async def test_a_request_to_invalidate_is_as_large_as_its_names_can_be() -> None:
    tags = [f"{number:03d}" + "\u65e5" * 253 for number in range(MAX_NAMES)]
    assert (await Endpoint().ask("/__vinext/revalidate", json.dumps({"tags": tags}).encode())).status == 200
    answer = await Endpoint().ask("/__vinext/revalidate", b"\n" * MAX_REQUEST_BYTES)
    assert (answer.status, "larger than 1048576 bytes" in document(answer)["error"]) == (413, True)


async def test_the_story_of_a_request_is_told() -> None:
    worker = await FakeWorker().open()
    endpoint = Endpoint()
    endpoint.why = worker.why
    answer = await endpoint.ask("/__vinext/why", b'{"url": "/a?_rsc=1", "headers": {"RSC": "1"}}')
    told = document(answer)
    assert (answer.status, told["outcome"], told["reason"]) == (200, "MISS", "cache.absent")
    assert told["steps"][0]["keys"] == ["app:v2:/a:rsc"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param(b"{", "the body is", id="no JSON"),
        pytest.param(b"[]", "must be an object with url", id="no object"),
        pytest.param(b'{"url": "/", "cookies": {}}', "must be an object with url", id="another field"),
        pytest.param(b"{}", "None is no url", id="no URL"),
        pytest.param(b'{"url": "https://example.com/"}', "a path that begins with /", id="a whole URL"),
        pytest.param(b'{"url": "/", "headers": {"a": 1}}', "strings by name", id="a header that is a number"),
        pytest.param(b'{"url": "/", "method": null}', "method must be a string", id="no method"),
    ],
)
async def test_a_wrong_request_for_a_story_is_400_with_the_reason(body: bytes, error: str) -> None:
    answer = await Endpoint().ask("/__vinext/why", body)
    assert answer.status == 400
    assert error in document(answer)["error"]


async def test_a_story_that_cannot_be_told_is_an_error_with_the_reason() -> None:
    answer = await Endpoint().ask("/__vinext/why", b'{"url": "/"}')  # it has no site
    assert answer.status == 500
    assert "the reason cannot be told: AttributeError" in document(answer)["error"]


async def test_pages_that_could_not_be_regenerated_are_told() -> None:
    endpoint = Endpoint()
    for path in ("/a", "/b"):
        own_ms = await endpoint.objects.take(path, 0, START_MS, json.dumps({"url": f"https://example.com{path}"}))
    await endpoint.objects.ended("/a", own_ms, "status 500")
    answer = await endpoint.ask("/__vinext/pages?state=failed", method="GET")
    assert answer.status == 200
    page = {"url": "https://example.com/a", "state": "failed", "tries": 1, "error": "status 500", "key": "/a"}
    assert document(answer) == {"pages": [{**page, "at": "2023-11-14T22:13:20.123Z", "due": "2023-11-14T22:13:22.123Z"}]}
    everything = document(await endpoint.ask("/__vinext/pages", method="GET"))
    assert {page["state"] for page in everything["pages"]} == {"failed", "running"}


@pytest.mark.parametrize(
    ("path", "method", "status", "error"),
    [
        ("/__vinext/pages", "POST", 405, "takes GET, not POST"),
        ("/__vinext/pages?state=lost", "GET", 400, "state= and one of running, failed, given-up"),
        ("/__vinext/pages?failed", "GET", 400, "is no query of this endpoint"),
        ("/__vinext/pages?state=", "GET", 400, "is no query of this endpoint"),
    ],
)
async def test_other_questions_for_pages_are_refused(path: str, method: str, status: int, error: str) -> None:
    answer = await Endpoint().ask(path, method=method)
    assert answer.status == status
    assert error in document(answer)["error"]


async def test_pages_are_unknown_without_the_objects_answer() -> None:
    endpoint = Endpoint()
    endpoint.objects.fault = TimeoutError("VINEXT_TAGS did not answer within 1000 ms")
    answer = await endpoint.ask("/__vinext/pages", method="GET")
    assert (answer.status, "did not answer" in document(answer)["error"]) == (503, True)


async def test_a_page_at_a_long_path_that_is_not_ascii_is_invalidated_by_its_path() -> None:
    path = "/ブログ/新しい製品の発表とこれからの開発計画についてのお知らせです"
    worker = await FakeWorker().open()
    url = quote(path)
    worker.pages.documents[url] = lambda: page(f"{worker.clock()}", "s-maxage=31536000")
    first = await worker.get(url)
    worker.clock.pass_seconds(10)
    assert (await worker.get(url)).text == first.text
    wanted = RevalidateRequest.parse(json.dumps({"paths": [url]}).encode())
    await revalidate(worker.store, wanted, worker.log)
    worker.clock.pass_seconds(10)
    again = await worker.get(url)
    assert (again.state, again.text == first.text) == ("MISS", False)
