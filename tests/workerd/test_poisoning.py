"""Attempts to get something into the cache that does not belong there, or out of it what does not belong to the visitor."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest
from tests.workerd.patience import eventually
from tests.workerd.stubs import FIXTURES
from tests.workerd.visitor import Visitor

from cache.pool import FREE_BYTES
from isr.assemble import SITE_BYTES
from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions, ScriptService

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.workerd.visitor import Answer

    from vinext_worker.project import Project

HTML = "text/html; charset=utf-8"
RSC = {"RSC": "1", "Accept": "text/x-component"}
MANY = 2000
TOGETHER = 8


@dataclass(frozen=True)
class Attacked:
    """The Worker before a page handler that shows what it was asked for."""

    runtime: LocalRuntime
    visitor: Visitor

    def made(self) -> Mapping[str, int]:
        """How often each page, or payload, was made."""
        counts: dict[str, int] = httpx.get(f"{self.runtime.service_urls['PAGES']}/__stub", timeout=30, trust_env=False).json()
        return counts

    def stored(self, path: str) -> list[str]:
        """The names of the entries of a path."""
        return [name for name in self.runtime.kv().names() if f":{path}:" in name]


def start(project: Project, assets: Path, **variables: str) -> LocalRuntime:
    options = RuntimeOptions(
        config=WranglerConfig.read(project.configuration),
        tools=project.tools,
        services={"PAGES": ScriptService((FIXTURES / "pages" / "echo.mjs").read_text())},
        assets_directory=assets,
        variables=variables,
    )
    return LocalRuntime(options)


@pytest.fixture(scope="module")
def attacked(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    with start(project, tmp_path_factory.mktemp("no-assets")) as runtime:
        yield Attacked(runtime, Visitor(runtime.url))


@dataclass(frozen=True)
class Attack:
    """A request, and what everybody must get at `victim` after it; nothing in that comes from the attacker."""

    name: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    body: bytes | None = None
    victim: str | None = None
    victim_headers: Mapping[str, str] = field(default_factory=dict)
    gets: str | None = None
    content_type: str = HTML

    @property
    def victim_path(self) -> str:
        return self.victim or self.path.partition("?")[0]

    @property
    def expected(self) -> str:
        """What the page handler says to a stranger."""
        return self.gets or f"page of {self.victim_path}"


FORWARDED = [
    ("Forwarded", "host=evil.example"),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Proto", "evil"),
    ("X-Forwarded-Port", "evil"),
    ("X-Forwarded-Prefix", "/evil"),
    ("X-Host", "evil.example"),
    ("X-Original-Host", "evil.example"),
    ("X-Original-URL", "/evil"),
    ("X-Rewrite-URL", "/evil"),
    ("X-HTTP-Method-Override", "EVIL"),
    ("X-Method-Override", "EVIL"),
]

ATTACKS = [
    *(Attack(name, f"/host/{name.lower()}", {name: value}, gets="page of {path} at {host}") for name, value in FORWARDED),
    Attack("a query", "/query/a?x=evil"),
    Attack("a query of many parts", "/query/b?x=1&x=evil&&=evil&_rsc=evil"),
    Attack("a query that begins like ours", "/query/c?_rscx=evil"),
    Attack("a query that only keeps caches apart", "/url/a?_rsc=evil", gets="page of {path} {path}"),
    Attack("an empty query", "/url/b?", gets="page of {path} {path}"),
    Attack("a query of nothing", "/url/c?&&&", gets="page of {path} {path}"),
    Attack("another spelling", "/url/%64", victim="/url/d", gets="page of {path} {path}"),
    Attack("escapes in small letters", "/url/caf%c3%a9", victim="/url/caf%C3%A9", gets="page of {path} {path}"),
    Attack(
        "a query on the payload that only keeps caches apart",
        "/url/e?_rsc=evil",
        {"RSC": "1"},
        victim="/url/e.rsc",
        gets="payload of /url/e /url/e?_rsc",
        content_type="text/x-component",
    ),
    Attack("an encoded query name", "/query/d?%5frsc=evil"),
    Attack(
        "a query on the payload",
        "/query/e.rsc?x=evil",
        victim="/query/e.rsc",
        gets="payload of /query/e",
        content_type="text/x-component",
    ),
    Attack("a header that the answer varies by", "/varies/a", {"X-Language": "evil"}),
    Attack("an origin that the answer varies by", "/varies/b", {"Origin": "https://evil.example"}),
    Attack("a media type that the answer varies by", "/negotiates/a", {"Accept": "text/markdown"}),
    Attack("a header that the page reads", "/reads/a", {"X-Language": "evil"}),
    Attack("a cookie that the page reads", "/reads/b", {"Cookie": "name=evil"}),
    Attack("credentials that the page reads", "/reads/c", {"Authorization": "Bearer evil"}),
    Attack("credentials, and an answer that may be kept", "/authorized/a", {"Authorization": "Bearer evil"}),
    Attack("a cookie, and an answer that varies by it", "/personal/a", {"Cookie": "name=evil"}),
    Attack("an answer that sets a cookie", "/cookie/a"),
    Attack("RSC: 1 on the URL of a document", "/plain/a", RSC),
    Attack(
        "RSC: 1 on the URL of a document, with a state",
        "/router/a",
        {**RSC, "Next-Url": "/evil", "Next-Router-State-Tree": "evil"},
    ),
    Attack(
        "a state that makes a partial payload",
        "/router/b",
        {**RSC, "X-Vinext-Mounted-Layouts": "evil"},
        victim="/router/b.rsc",
        gets="payload of /router/b",
        content_type="text/x-component",
    ),
    Attack(
        "slots that make another payload",
        "/router/c",
        {**RSC, "X-Vinext-Mounted-Slots": "evil"},
        victim="/router/c.rsc",
        gets="payload of /router/c",
        content_type="text/x-component",
    ),
    Attack("Accept for a payload only", "/plain/b", {"Accept": "text/x-component"}),
    Attack("a document for a payload's URL", "/swapped/a.rsc", victim="/plain/c", gets="page of /plain/c"),
    Attack("HEAD", "/plain/d", method="HEAD"),
    Attack(
        "HEAD of a payload",
        "/plain/e.rsc",
        method="HEAD",
        victim="/plain/e.rsc",
        gets="payload of /plain/e",
        content_type="text/x-component",
    ),
    Attack("POST", "/plain/f", method="POST", body=b"evil"),
    Attack("another method", "/plain/g", method="PURGE"),
    Attack("a range", "/partial/a", {"Range": "bytes=0-3"}),
    Attack("a condition", "/partial/b", {"If-None-Match": '"evil"'}),
    Attack("policy headers from a visitor", "/policy/a", {"X-Vinext-Cache-Tags": "evil", "X-Vinext-Revalidated-Tags": "evil"}),
    Attack("a body that breaks off", "/breaks/a"),
    Attack("draft mode", "/plain/h", {"Cookie": "__prerender_bypass=evil"}),
    Attack("a Server Action", "/plain/i", {"Next-Action": "evil"}),
    Attack("an encoded slash", "/plain/j%2Fk", victim="/plain/j/k"),
    Attack("a slash, for the page with an encoded one", "/plain/l/m", victim="/plain/l%2Fm"),
    Attack("an encoded backslash", "/plain/n%5Co", victim="/plain/n/o"),
    Attack("encoded dots", "/plain/x/%2e%2e/p", victim="/plain/x/p"),
    Attack("encoded dots and a slash", "/plain/x/..%2Fq", victim="/plain/q"),
    Attack("dots that are encoded twice", "/plain/x/%252e%252e/r", victim="/plain/r"),
    Attack("an encoded question mark", "/plain/s%3Fx=evil", victim="/plain/s"),
    Attack("an encoded number sign", "/plain/t%23evil", victim="/plain/t"),
    Attack("an encoded percent sign", "/plain/u%252Fv", victim="/plain/u%2Fv"),
    Attack("an encoded NUL", "/plain/w%00", victim="/plain/w"),
    Attack("an encoded line end", "/plain/x%0d%0aSet-Cookie:%20evil", victim="/plain/x"),
    Attack("what is no UTF-8", "/plain/y%ff", victim="/plain/y"),
    Attack("a suffix in capitals", "/plain/z.RSC", victim="/plain/z"),
    Attack("a path parameter", "/plain/a1;evil", victim="/plain/a1"),
    Attack("a second slash", "/plain//b1", victim="/plain/b1"),
    Attack("a slash at the end", "/plain/c1/", victim="/plain/c1"),
    Attack("the end of a key", "/plain/d1:html", victim="/plain/d1"),
    Attack("the hash of a key", "/__hash:evil", victim="/plain/e1"),
    Attack("an absolute URL of another host", "http://evil.example/plain/f1", victim="/plain/f1"),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_after_an_attack_everybody_gets_their_own_page(attacked: Attacked, attack: Attack) -> None:
    with suppress(HTTPException):
        attacked.visitor.ask(attack.path, attack.method, attack.headers, attack.body)
    host = attacked.visitor.url.partition("://")[2].strip("/")
    expected = attack.expected.format(path=attack.victim_path, host=host)
    for _ in range(3):
        answer = attacked.visitor.ask(attack.victim_path)
        assert answer.text == expected
        assert (answer.status, answer.headers["content-type"]) == (200, attack.content_type)
        if attack.path != "/cookie/a":
            assert "evil" not in str(answer.headers)


KEPT_OUT = [
    pytest.param("/authorized/keep", {"Authorization": "Bearer evil"}, id="credentials"),
    pytest.param("/personal/keep", {"Cookie": "name=evil"}, id="an answer that varies by the cookie"),
    pytest.param("/cookie/keep", {}, id="an answer that sets a cookie"),
    pytest.param("/swapped/keep", {}, id="a payload for a document's URL"),
    pytest.param("/swapped/keep2.rsc", {}, id="a document for a payload's URL"),
    pytest.param("/missing/keep", {}, id="no page"),
    pytest.param("/plain/keep?x=1", {}, id="a query"),
    pytest.param("/plain/" + "k" * 5000, {}, id="a path that is too long for any page"),
    pytest.param("/plain/keep%ff", {}, id="a path that is no UTF-8"),
    pytest.param("/plain//keep", {}, id="a path that is not canonical"),
]


@pytest.mark.parametrize(("path", "headers"), KEPT_OUT)
def test_what_may_not_be_kept_is_not_written(attacked: Attacked, path: str, headers: dict[str, str]) -> None:
    for _ in range(3):
        answer = attacked.visitor.ask(path, headers=headers)
        assert answer.state is None
    # Written after this one, whatever was to be written before it.
    attacked.visitor.ask(f"/plain/fence{len(path)}")
    eventually(lambda: attacked.stored(f"/plain/fence{len(path)}"))
    assert [name for name in attacked.runtime.kv().names() if "keep" in name or "kkkk" in name] == []


def test_a_broken_body_is_cut_off_for_its_visitor_and_never_kept(attacked: Attacked) -> None:
    with pytest.raises(HTTPException):
        attacked.visitor.ask("/breaks/once")
    eventually(lambda: attacked.visitor.ask("/breaks/once"), lambda answer: answer.text == "page of /breaks/once")
    assert (
        eventually(lambda: attacked.visitor.ask("/breaks/once"), lambda answer: answer.state == "HIT").text
        == "page of /breaks/once"
    )


def test_a_head_request_for_a_missing_page_keeps_nothing(attacked: Attacked) -> None:
    head = attacked.visitor.ask("/plain/only-head", "HEAD")
    assert (head.status, head.state, head.body) == (200, None, b"")
    page = attacked.visitor.ask("/plain/only-head")
    assert (page.state, page.text) == ("MISS", "page of /plain/only-head")
    head = attacked.visitor.ask("/plain/only-head", "HEAD")
    assert (head.state, head.body) == ("HIT", b"")


def test_what_is_replayed_with_a_page_are_its_own_headers_only(attacked: Attacked) -> None:
    for path in ("/hop/a", "/policy/b"):
        attacked.visitor.ask(path)
        answer = eventually(lambda path=path: attacked.visitor.ask(path), lambda answer: answer.state == "HIT")  # type: ignore[misc]
        assert not {"keep-alive", "set-cookie", "x-vinext-cache-tags", "x-vinext-revalidated-tags"}.intersection(answer.headers)
    custom = attacked.visitor.ask("/hop/a")
    assert (custom.headers["x-custom"], custom.headers["link"]) == ("kept", "</style.css>; rel=preload")


def test_a_visitor_cannot_invalidate_by_a_header(attacked: Attacked) -> None:
    attacked.visitor.ask("/policy/c")
    forged = {"X-Vinext-Revalidated-Tags": "secret-tag"}
    for _ in range(3):
        assert attacked.visitor.ask("/policy/c", headers=forged).state == "HIT"
        attacked.visitor.ask("/plain/forged?x=1", headers=forged)
    assert attacked.made()["page /policy/c"] == 1
    assert [name for name in attacked.runtime.kv().names() if "__tag:" in name] == []


def test_variants_of_one_page_make_one_entry_a_form(attacked: Attacked) -> None:
    path = "/plain/variants"
    attacked.visitor.ask(path)
    eventually(lambda: len(attacked.stored(path)) == 2)

    def ask(number: int) -> Answer:
        kinds: tuple[tuple[str, dict[str, str]], ...] = (
            (f"{path}?x={number}", {}),
            (f"{path}?_rsc={number}", RSC),
            (f"{path}.rsc?_rsc={number}", {"Next-Url": f"/{number}"}),
            (f"{path}?_rsc={number}", {**RSC, "X-Vinext-Mounted-Layouts": f"{number}"}),
            (path, {"Cookie": f"a={number}", "User-Agent": f"{number}", "Accept-Language": f"{number}"}),
        )
        url, headers = kinds[number % len(kinds)]
        return attacked.visitor.ask(url, headers=headers)

    with ThreadPoolExecutor(TOGETHER) as threads:
        answers = list(threads.map(ask, range(MANY)))
    assert {(answer.status, answer.state) for answer in answers} == {(200, "HIT")}
    assert len(attacked.stored(path)) == 2
    assert {key: times for key, times in attacked.made().items() if path in key} == {f"page {path}": 1, f"payload {path}": 1}


def test_thousands_of_paths_without_a_page_write_nothing(attacked: Attacked) -> None:
    before = attacked.runtime.kv().names()

    def ask(number: int) -> int:
        # Half of them as a client asks that follows a link.
        headers = {**RSC, "X-Vinext-Mounted-Layouts": "a"} if number % 2 else {}
        return attacked.visitor.ask(f"/missing/{number}", headers=headers).status

    with ThreadPoolExecutor(TOGETHER) as threads:
        assert set(threads.map(ask, range(MANY))) == {404}
    attacked.visitor.ask("/plain/fence-of-junk")
    eventually(lambda: len(attacked.stored("/plain/fence-of-junk")) == 2)
    added = set(attacked.runtime.kv().names()) - set(before)
    assert {name.rsplit(":", 1)[0] for name in added} == {attacked.stored("/plain/fence-of-junk")[0].rsplit(":", 1)[0]}


TENANTS = "a.example=a, b.example=b, *.sites.example=site-{label}"
TOKEN = "token-of-the-test"


@pytest.fixture(scope="module")
def tenants(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    folder = tmp_path_factory.mktemp("no-assets-of-tenants")
    with start(project, folder, VINEXT_TENANTS=TENANTS, VINEXT_ADMIN_TOKEN=TOKEN, VINEXT_TAG_CACHE_MS="0") as runtime:
        yield Attacked(runtime, Visitor(runtime.url))


def at(tenants: Attacked, host: str, path: str, headers: Mapping[str, str] | None = None) -> Answer:
    return tenants.visitor.ask(path, headers={"Host": host, **(headers or {})})


def invalidate(tenants: Attacked, host: str, what: dict[str, list[str]]) -> Answer:
    headers = {"Host": host, "Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    return tenants.visitor.ask("/__vinext/revalidate", "POST", headers, json.dumps(what).encode())


def test_each_tenant_gets_its_own_pages(tenants: Attacked) -> None:
    for host in ("a.example", "b.example", "A.EXAMPLE", "a.example:80"):
        for _ in range(2):
            answer = at(tenants, host, "/host/own")
            assert answer.text.lower().startswith(f"page of /host/own at {host.lower().partition(':')[0]}")
    prefixes = eventually(lambda: {name.partition(":")[0] for name in tenants.runtime.kv().names()}, lambda found: len(found) > 1)
    assert prefixes == {"a", "b"}


def test_a_host_that_is_no_tenant_has_no_cache_to_invalidate(tenants: Attacked) -> None:
    assert invalidate(tenants, "a.example", {"tags": ["t"]}).status == 200
    assert invalidate(tenants, "c.example", {"tags": ["t"]}).status == 421


def test_each_label_of_a_pattern_is_a_tenant(project: Project, tmp_path: Path) -> None:
    """They are more than an isolate remembers."""
    memory_bytes = 30_000
    hosts = [f"s{number}.sites.example" for number in range((FREE_BYTES + memory_bytes) // SITE_BYTES + 8)]
    with start(project, tmp_path, VINEXT_TENANTS=TENANTS, VINEXT_MEMORY_BYTES=str(memory_bytes)) as runtime:
        tenants = Attacked(runtime, Visitor(runtime.url))
        for _ in range(2):
            texts = [at(tenants, host, "/host/labels").text for host in hosts]
            assert texts == [f"page of /host/labels at {host}" for host in hosts]
        wanted = {f"site-{host.partition('.')[0]}" for host in hosts}
        eventually(lambda: wanted <= {name.partition(":")[0] for name in tenants.runtime.kv().names()})
        assert {at(tenants, host, "/host/labels").state for host in hosts} == {"HIT"}


@pytest.mark.parametrize(
    "host",
    ["evil.example", "a.example.evil.example", "xa.example", "a.example.", "a", "", "127.0.0.1", "[::1]", "a.example,b.example"],
)
def test_a_host_that_is_no_tenant_neither_reads_nor_writes(tenants: Attacked, host: str) -> None:
    at(tenants, "a.example", "/host/strangers")
    before = tenants.runtime.kv().names()
    for _ in range(2):
        answer = at(tenants, host, "/host/strangers")
        assert answer.state is None
        assert "at a.example" not in answer.text.replace("at a.example.", "")
    assert eventually(lambda: at(tenants, "a.example", "/host/strangers")).text == "page of /host/strangers at a.example"
    assert {name for name in tenants.runtime.kv().names() if name not in before} <= set(tenants.stored("/host/strangers"))


def test_a_forwarded_host_makes_nobody_another_tenant(tenants: Attacked) -> None:
    forged = {"X-Forwarded-Host": "b.example", "Forwarded": "host=b.example", "X-Host": "b.example"}
    for _ in range(2):
        assert at(tenants, "a.example", "/host/forged", forged).text == "page of /host/forged at a.example"
    assert at(tenants, "b.example", "/host/forged").text == "page of /host/forged at b.example"


@pytest.mark.parametrize(
    "what", [{"tags": ["secret-tag"]}, {"paths": ["/policy/both"]}, {"prefixes": ["/policy"]}], ids=["tags", "paths", "prefixes"]
)
def test_a_tenant_invalidates_its_own_pages_only(tenants: Attacked, what: dict[str, list[str]]) -> None:
    for host in ("a.example", "b.example"):
        at(tenants, host, "/policy/both")
        eventually(lambda host=host: at(tenants, host, "/policy/both"), lambda answer: answer.state == "HIT")  # type: ignore[misc]
    assert invalidate(tenants, "a.example", what).status == 200
    assert at(tenants, "b.example", "/policy/both").state == "HIT"
    assert at(tenants, "a.example", "/policy/both").state == "MISS"


def test_nothing_can_be_invalidated_for_a_host_that_is_no_tenant(tenants: Attacked) -> None:
    at(tenants, "a.example", "/policy/stays")
    assert invalidate(tenants, "evil.example", {"prefixes": ["/"]}).status >= 400
    eventually(lambda: at(tenants, "a.example", "/policy/stays"), lambda answer: answer.state == "HIT")
