"""Pages that vary by headers of the request: each visitor gets the variant that the request selects (RFC 9111, 4.1)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from tests.fakes.pages import FakePages, FakeResponse, broken, missing
from tests.fakes.worker import FakeWorker

from isr.settings import Settings
from isr.variants import REPLACED_AFTER_MS, VariantRules, best_language, read_selection
from pages.request import NO_HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pages.request import PageRequest, RenderRequest

BROWSER = "de-AT, de;q=0.9, en;q=0.5"
MINUTE_MS = 60_000


def answer(text: str, vary: str, **headers: str) -> FakeResponse:
    given = {"content-type": "text/html", "cache-control": "s-maxage=60, stale-while-revalidate", "vary": vary}
    return FakeResponse(200, given | {name.replace("_", "-"): value for name, value in headers.items()}, text.encode())


def language(asked: Callable[[str], str]) -> FakeResponse:
    wanted = best_language(asked("accept-language"), ("en", "de", "fr"))
    return answer({"de": "Hallo", "fr": "Salut"}.get(wanted, "Hello"), "Accept-Language")


def cors(asked: Callable[[str], str]) -> FakeResponse:
    origin = asked("origin")
    allowed = {"access_control_allow_origin": origin} if origin else {}
    return answer("data", "Origin", **allowed)


def fragment(asked: Callable[[str], str]) -> FakeResponse:
    return answer("<p>" if asked("hx-request") else "<html><p>", "HX-Request")


def echo(asked: Callable[[str], str]) -> FakeResponse:
    return answer(f"you sent {asked('accept-language')}", "Accept-Language")


def personal(asked: Callable[[str], str]) -> FakeResponse:
    response = language(asked)
    policy = {"cache-control": "private, no-store"} if asked("cookie") else {}
    return replace(response, headers={**response.headers, **policy})


@dataclass
class Site(FakePages):
    """A page handler whose answers depend on headers. It notes what each was made from."""

    pages: Mapping[str, Callable[[Callable[[str], str]], FakeResponse]] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)

    async def answer(self, request: PageRequest) -> FakeResponse:
        over = {} if request.kept_as is None else dict(request.kept_as.selected)
        path = request.path if request.kept_as is None else request.kept_as.path
        return self._make(path, lambda name: over[name] if name in over else request.headers.get(name) or "")

    async def render(self, request: RenderRequest) -> FakeResponse:
        given = {name.lower(): value for name, value in request.headers.items()}
        return self._make(request.path, lambda name: given.get(name, ""))

    def _make(self, path: str, asked: Callable[[str], str]) -> FakeResponse:
        self.made.append(path)
        page = self.pages.get(path)
        return missing() if page is None else page(asked)


SITE = {"/language": language, "/cors": cors, "/fragment": fragment, "/echo": echo, "/personal": personal}


async def opened(**settings: object) -> FakeWorker:
    return await FakeWorker(pages=Site(pages=SITE), settings=Settings(**settings)).open()  # type: ignore[arg-type]


@pytest.fixture
async def worker() -> FakeWorker:
    return await opened(languages=("en", "de", "fr"))


@pytest.mark.parametrize(
    ("path", "headers", "texts"),
    [
        pytest.param("/language", {"Accept-Language": "de"}, ("Hello", "Hallo"), id="the visitor's language"),
        pytest.param("/language", {"Accept-Language": BROWSER}, ("Hello", "Hallo"), id="as browsers write it"),
        pytest.param("/fragment", {"HX-Request": "true"}, ("<html><p>", "<p>"), id="a part of the page"),
    ],
)
@pytest.mark.parametrize("is_plain_first", [True, False], ids=["who does not send it first", "who sends it first"])
async def test_each_visitor_gets_what_the_request_selects(
    worker: FakeWorker, path: str, headers: dict[str, str], texts: tuple[str, str], *, is_plain_first: bool
) -> None:
    asked = list(zip(({}, headers), texts, strict=True))
    if not is_plain_first:
        asked.reverse()
    for given, text in asked:
        assert ((await worker.get(path, given)).text, (await worker.get(path, given)).text) == (text, text)
    for given, text in asked * 2:
        got = await worker.get(path, given)
        assert (got.text, got.state) == (text, "HIT")


@pytest.mark.parametrize("first", ["", "https://a.example"])
async def test_a_cross_origin_visitor_gets_the_header_that_a_browser_asks_for(worker: FakeWorker, first: str) -> None:
    await worker.get("/cors", {"Origin": first} if first else {})
    for state in ("MISS", "HIT"):
        for origin in ("https://a.example", "https://b.example"):
            got = await worker.get("/cors", {"Origin": origin})
            assert got.header("Access-Control-Allow-Origin") == origin
            if origin != first:
                assert got.state == state
    plain = await worker.get("/cors")
    assert plain.header("Access-Control-Allow-Origin") is None


async def test_no_answer_tells_what_it_was_selected_by(worker: FakeWorker) -> None:
    for _ in range(2):
        got = await worker.get("/language", {"Accept-Language": "de"})
        assert "x-vinext-selected" not in {name.lower() for name, _ in got.headers}
        assert got.header("Vary") == "Accept-Language"


async def test_a_page_is_made_from_what_its_key_has_and_from_no_spelling_of_a_visitor(worker: FakeWorker) -> None:
    first = await worker.get("/echo", {"Accept-Language": "de, evil;q=0.1"})
    assert (first.text, first.state) == ("you sent de, evil;q=0.1", "MISS")
    for spelling in ("de", "DE;q=1", "de-CH, xx;q=0.2"):
        got = await worker.get("/echo", {"Accept-Language": spelling})
        assert (got.text, got.state) == ("you sent de", "HIT")
    for spelling in ("fr, evil;q=0.1", "fr"):
        got = await worker.get("/echo", {"Accept-Language": spelling})
        assert got.text == "you sent fr"


async def test_a_variant_that_is_stale_is_made_again_from_its_own_headers(worker: FakeWorker) -> None:
    for given in ({}, {"Accept-Language": "de"}):
        await worker.get("/language", given)
    worker.clock.now_ms += 61_000
    for given, text in (({"Accept-Language": "de"}, "Hallo"), ({}, "Hello")):
        assert ((await worker.get("/language", given)).text, (await worker.get("/language", given)).state) == (text, "HIT")


async def test_an_invalidation_takes_every_variant(worker: FakeWorker) -> None:
    for given in ({}, {"Accept-Language": "de"}, {"Accept-Language": "fr"}):
        await worker.get("/language", given)
    worker.clock.now_ms += 10
    await worker.store.revalidate_tags(["_N_T_/language"])
    worker.clock.now_ms += 10
    for given in ({"Accept-Language": "de"}, {}, {"Accept-Language": "fr"}):
        assert (await worker.get("/language", given)).state == "MISS"


async def test_the_page_for_everybody_is_made_beside_a_visitor_with_cookies(worker: FakeWorker) -> None:
    given = {"Accept-Language": "de", "Cookie": "session=1"}
    for _ in range(2):
        assert (await worker.get("/personal", given)).text == "Hallo"
    got = await worker.get("/personal", given)
    assert (got.text, got.state) == ("Hallo", "HIT")


async def test_another_isolate_finds_the_variants(worker: FakeWorker) -> None:
    for given in ({}, {"Accept-Language": "de"}):
        await worker.get("/language", given)
    other = await FakeWorker(pages=Site(pages=SITE), kv=worker.kv, clock=worker.clock, settings=worker.settings).open()
    assert [(got.text, got.state) for got in [await other.get("/language", {"Accept-Language": BROWSER})]] == [("Hallo", "HIT")]


async def test_values_that_one_visitor_each_sends_fill_no_cache(worker: FakeWorker) -> None:
    await worker.get("/cors", {"Origin": "https://a.example"})
    for number in range(200):
        origin = f"https://junk{number}.example"
        for _ in range(3):
            assert (await worker.get("/cors", {"Origin": origin})).header("Access-Control-Allow-Origin") == origin
    assert len(worker.stored_pages) == 8
    assert (await worker.get("/cors", {"Origin": "https://a.example"})).state == "HIT"


async def test_a_variant_that_nobody_asks_for_gives_its_place_to_one_that_is_asked_for_twice(worker: FakeWorker) -> None:
    for number in range(8):
        await worker.get("/cors", {"Origin": f"https://old{number}.example"})
    worker.clock.now_ms += REPLACED_AFTER_MS
    states = [(await worker.get("/cors", {"Origin": "https://new.example"})).state for _ in range(3)]
    assert states == [None, "MISS", "HIT"]


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_the_setting_is_how_many_variants_are_kept(limit: int) -> None:
    worker = await opened(variants=limit)
    for number in range(5):
        await worker.get("/cors", {"Origin": f"https://{number}.example"})
    assert len(worker.stored_pages) == limit


async def test_a_value_that_is_very_long_is_kept_for_nobody(worker: FakeWorker) -> None:
    await worker.get("/cors")
    for _ in range(2):
        got = await worker.get("/cors", {"Origin": "x" * 300})
        assert (got.header("Access-Control-Allow-Origin"), got.is_cached) == ("x" * 300, False)
    assert len(worker.stored_pages) == 1


async def test_visitors_who_come_at_once_get_each_their_own(worker: FakeWorker) -> None:
    asked = [{"Accept-Language": name} for name in ("de", "fr", "en", BROWSER) for _ in range(10)]
    got = await asyncio.gather(*(worker.ask("/language", given) for given in asked))
    await worker.settle()
    assert [answered.text for answered in got] == ["Hallo"] * 10 + ["Salut"] * 10 + ["Hello"] * 10 + ["Hallo"] * 10
    assert len(worker.pages.made) <= 8  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("de", "de"),
        ("DE-at", "de"),
        ("pt-BR", "pt-BR"),
        ("pt-br;q=0.5, en;q=0.4", "pt-BR"),
        ("pt", ""),
        ("xx, en;q=0.1", "en"),
        ("en;q=0, de", "de"),
        ("*", "en"),
        ("xx", ""),
        ("", ""),
        (",;q=,de;q=nonsense", "de"),
    ],
)
def test_the_language_of_a_site_that_suits_a_visitor(header: str, expected: str) -> None:
    assert best_language(header, ("en", "de", "pt-BR")) == expected


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("accept-language", "de, en;q=0.5", "DE,en;q=0.5"),
        ("accept", "text/html, */*;q=0.1", "text/html,*/*;q=0.1"),
        ("x-any", "  a   b ", "a b"),
    ],
)
def test_spellings_of_the_same_are_one_variant(name: str, one: str, other: str) -> None:
    rules = VariantRules(8)
    assert rules.normalized(name, one) == rules.normalized(name, other)


@pytest.mark.parametrize("text", ["", "[]", "7", '{"a":1}', "{", '{"a":null}'])
def test_what_is_no_selection_is_selected_by_nobody(text: str) -> None:
    names = [name for name, _ in read_selection(text)]
    assert VariantRules(8).selection(names, NO_HEADERS) is None


async def test_an_empty_value_is_nobody_else_s(worker: FakeWorker) -> None:
    """An app may ask whether a header is there at all."""
    for _ in range(2):
        got = await worker.get("/fragment", {"HX-Request": ""})
        assert not got.is_cached
    assert (await worker.get("/fragment")).text == "<html><p>"
    assert (await worker.get("/fragment", {"HX-Request": ""})).is_cached is False


@pytest.mark.parametrize("evil", ["fails", "dynamic"])
async def test_what_is_wrong_with_one_variant_takes_no_other_from_anybody(evil: str) -> None:
    def page(asked: Callable[[str], str]) -> FakeResponse:
        if asked("hx-request") != "evil":
            return fragment(asked)
        return (
            broken() if evil == "fails" else replace(fragment(asked), headers={"cache-control": "no-store", "vary": "HX-Request"})
        )

    worker = await FakeWorker(pages=Site(pages={"/page": page})).open()
    await worker.get("/page")
    await worker.store.revalidate_tags(["_N_T_/page"])
    worker.clock.now_ms += 10
    asked = [{"HX-Request": "evil", "Cookie": "a=b"}, *({} for _ in range(5))]
    got = await asyncio.gather(*(worker.ask("/page", given) for given in asked))
    await worker.settle()
    assert [answered.status for answered in got[1:]] == [200] * 5
    assert (await worker.get("/page")).status == 200
    assert (await worker.get("/page")).state == "HIT"
