"""This project's KV handler beside vinext's own, run as published, on one namespace in one workerd.

What one writes the others read, and all of them agree on what is fresh, stale or gone. Where vinext has a fault, or this
project differs on purpose, there is a test of its own, which shows what either does.
"""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import httpx2 as httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.cache.vectors import without_key
from tests.workerd.side_by_side import App, Failed, started

from cache.keys import KeySchema
from cache.marker_writer import WRITE_EVERY_MS
from cache.tags import path_tags, revalidate_path_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.workerd.side_by_side import Party

    from vinext_worker.local_runtime import LocalRuntime
    from vinext_worker.project import Project

EXAMPLES = 20
DAY = 24 * 3600
SCHEMAS = ("v1", "v2")


@pytest.fixture(scope="module")
def runtime(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    with started(project, tmp_path_factory.mktemp("side_by_side")) as runtime:
        yield runtime


@pytest.fixture(scope="module")
def new_app(runtime: LocalRuntime) -> Iterator[Callable[[], App]]:
    with httpx.Client(timeout=60, trust_env=False) as client:
        yield lambda: App(runtime, client)


@pytest.fixture
def app(new_app: Callable[[], App]) -> App:
    return new_app()


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = TEXT.filter(lambda name: not name.isdigit())
"""JavaScript puts a field whose name is a number before the others."""
ANY_TEXT = st.text(max_size=12) | st.sampled_from(
    ['\x00\x01\b\t\n\f\r\x1f "\\/</script>\x7f', "é日本語🎉\u2028\u2029", "\ud800x\udc00"]
)
BYTES = st.binary(max_size=20).map(lambda data: {"$base64": base64.b64encode(data).decode()})
HEADERS = st.dictionaries(
    st.sampled_from(["x-a", "Link", "set-cookie", "é"]), ANY_TEXT | st.lists(ANY_TEXT, max_size=2), max_size=3
)
STATUSES = st.sampled_from([200, 301, 307, 404, 500])
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
PERIODS = st.sampled_from([1, 30, 60, 600, 0.5])
TAGS = st.sampled_from(
    ["a", "b", "with space", "comma,", "quote'\"", "%C3%A9", "x" * 256]
    + ["", "tab\t", "x" * 257]  # a colon and a backslash are taken here, not by vinext
    + [tag for path in ("/docs/1", "/blog", "/") for tag in path_tags(KeySchema.V2, path)]
)


def fields(required: dict[str, st.SearchStrategy[Any]], **optional: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An object with its fields in the order in which vinext builds it."""
    order = [*required, *optional]
    drawn = st.fixed_dictionaries(required, optional=optional)
    return drawn.map(lambda found: {name: found[name] for name in order if name in found})


VALUES = st.one_of(
    fields({"kind": st.just("APP_PAGE"), "html": TEXT}, rscData=BYTES, headers=HEADERS, postponed=ANY_TEXT, status=STATUSES),
    fields(
        {"kind": st.just("PAGES"), "html": TEXT, "pageData": JSON_VALUES},
        generatedFromDataRequest=st.booleans(),
        headers=HEADERS,
        status=STATUSES,
    ),
    fields({"kind": st.just("APP_ROUTE"), "body": BYTES, "status": STATUSES, "headers": HEADERS}),
    fields({"kind": st.just("REDIRECT"), "props": st.dictionaries(NAMES, JSON_VALUES, max_size=3)}),
    fields({"kind": st.just("IMAGE"), "etag": ANY_TEXT, "buffer": BYTES, "extension": TEXT}, revalidate=PERIODS),
    fields(
        {
            "kind": st.just("FETCH"),
            "data": fields(
                {"headers": st.dictionaries(NAMES, ANY_TEXT, max_size=2), "body": ANY_TEXT, "url": TEXT}, status=STATUSES
            ),
            "tags": st.lists(TAGS, max_size=3),
            "revalidate": PERIODS | st.just(False),  # noqa: FBT003 - JavaScript's
        }
    ),
    st.none(),
)
KEYS = st.sampled_from(["k1", "k2"])
WHOSE = st.tuples(st.sampled_from(["vinext", "ours"]), st.sampled_from(SCHEMAS))
AFTER = st.sampled_from([1, 1, 2, 100, 1000, 4999, 5001, 30_001, 61_000, 700_000, 40 * DAY * 1000])
CONTEXTS = st.fixed_dictionaries(
    {"tags": st.lists(TAGS, max_size=4)}, optional={"revalidate": PERIODS | st.sampled_from([False, 0]), "expire": PERIODS}
)
ASKED = st.fixed_dictionaries({}, optional={"softTags": st.lists(TAGS, max_size=2), "revalidate": st.sampled_from([1, 30, 9000])})
ACTIONS = st.one_of(
    st.tuples(st.just("set"), KEYS, VALUES, CONTEXTS),
    st.tuples(st.just("set"), KEYS, VALUES, CONTEXTS),
    st.tuples(st.just("revalidate_tag"), st.lists(TAGS, min_size=1, max_size=2)),
    st.tuples(
        st.just("revalidate_path"), st.sampled_from(["/docs/1", "/docs", "/blog", "/"]), st.sampled_from([None, "page", "layout"])
    ),
    st.tuples(st.just("revalidate_prefix"), st.sampled_from(["/docs", "/docs/1", "/bl", "/blog"])),
    st.just(("wait",)),
)
STEPS = st.lists(st.tuples(AFTER, WHOSE, ACTIONS, KEYS, st.just({}) | ASKED), min_size=5, max_size=15)
"""How many milliseconds later who does what, and the key that everybody is asked for after that."""


def set_twice(app: App, whose: tuple[str, str], key: str, value: Any, context: dict[str, Any]) -> None:
    """Write with one handler, and beside it with its counterpart: KV must hold the same, but for our field at the end."""
    party, schema = whose
    other = {"vinext": "ours", "ours": "vinext"}[party]
    before = app.stored(f"cache:{key}")
    assert getattr(app, party)[schema].set(key, value, **context) is None
    assert getattr(app, other)[schema].set("twin", value, **context) is None
    written, twin = app.stored(f"cache:{key}"), app.stored("cache:twin")
    if context.get("revalidate") == 0 and written == before:
        return
    assert written is not None
    assert twin is not None
    theirs, our_own = (written, twin) if party == "vinext" else (twin, written)
    name = f"{app.name}:cache:{'twin' if party == 'vinext' else key}"
    assert without_key(our_own, name) == theirs
    assert app.metadata(f"cache:{key}") == app.metadata("cache:twin")


def check_agreement(app: App, key: str, asked: dict[str, Any]) -> None:
    """Ask everybody for a key: all find the same, and remove it or leave it.

    vinext 0.0.38 knows neither the end of an entry nor what a reader asks for beyond the key.
    """
    raw = app.stored(f"cache:{key}")
    expire_at = None if raw is None else json.loads(raw).get("expireAt")
    is_over = expire_at is not None and app.now_ms > expire_at
    if is_over and asked.get("softTags"):
        return  # who removes it depends on which of the two reasons is looked at first
    expected = find(app, app.vinext["v2"], key, raw, asked)
    assert find(app, app.ours["v1"], key, raw, asked) == expected
    assert find(app, app.ours["v2"], key, raw, asked) == expected
    if not asked and not is_over:
        assert find(app, app.vinext["v1"], key, raw, asked) == expected
    if raw is not None and not expected[1]:
        app.delete(f"cache:{key}")


def find(app: App, handler: Party, key: str, raw: bytes | None, asked: dict[str, Any]) -> tuple[Any, bool]:
    """What a handler finds, and whether it leaves the stored value where it is; it is put back for the next one."""
    found = handler.get(key, **asked)
    is_left = app.stored(f"cache:{key}") == raw
    if not is_left and raw is not None:
        app.store(f"cache:{key}", raw)
    return found, is_left


def perform(app: App, whose: tuple[str, str], action: tuple[Any, ...]) -> None:
    party, schema = whose
    handler = getattr(app, party)[schema]
    match action:
        case ("set", key, value, context):
            set_twice(app, whose, key, value, context)
        case ("revalidate_tag", tags):
            assert handler.revalidate_tag(*tags) is None
        case ("revalidate_path", path, kind):
            assert handler.revalidate_tag(revalidate_path_tag(path, kind)) is None
        case ("revalidate_prefix", prefix):
            assert handler.revalidate_by_path_prefix(prefix) is None
        case ("wait",):
            pass
        case _:
            raise AssertionError(action)


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_everybody_agrees_whoever_writes_and_invalidates(new_app: Callable[[], App], steps: list[Any]) -> None:
    app = new_app()
    for after_ms, whose, action, key, asked in steps:
        app.now_ms += after_ms
        if action[0].startswith("revalidate"):
            # A key is written once a second, and a marker that waits is dated later than what others do meanwhile.
            app.now_ms += WRITE_EVERY_MS
        perform(app, whose, action)
        app.now_ms += 1
        check_agreement(app, key, asked)


def page(html: str = "<p>", **more: Any) -> dict[str, Any]:
    return {"kind": "APP_PAGE", "html": html, **more}


def everybody(app: App, key: str, **asked: Any) -> dict[str, Any]:
    """What each handler finds, an entry shortened to its state. Who knows least is asked first: the others remove entries."""
    parties = {f"{party} {schema}": getattr(app, party)[schema] for party in ("vinext", "ours") for schema in SCHEMAS}
    found = {name: handler.get(key, **asked) for name, handler in parties.items()}
    return {name: entry["state"] if isinstance(entry, dict) else entry for name, entry in found.items()}


def all_find(state: str | None) -> dict[str, str | None]:
    return dict.fromkeys(("vinext v1", "vinext v2", "ours v1", "ours v2"), state)


@pytest.mark.parametrize("state", ["fresh", "stale"])
@pytest.mark.parametrize("party", ["vinext", "ours"])
@pytest.mark.parametrize("schema", SCHEMAS)
def test_an_entry_ages_the_same_for_everybody(app: App, party: str, schema: str, state: str) -> None:
    getattr(app, party)[schema].set("k", page(), revalidate=60)
    app.now_ms += 60_000 + (state == "stale")
    assert everybody(app, "k") == all_find(state)


@pytest.mark.parametrize("party", ["vinext", "ours"])
@pytest.mark.parametrize("schema", SCHEMAS)
def test_what_one_worker_invalidates_the_others_remember_as_valid_for_5_seconds(app: App, party: str, schema: str) -> None:
    app.ours["v2"].set("k", page(), tags=["t"])
    invalidator = getattr(app, party)[schema]
    others = [handler for handler in (*app.vinext.values(), app.ours["v1"], app.ours["v2"]) if handler is not invalidator]
    get = {"action": "get", "key": "k", "context": {}}
    assert all(handler.ask(get)[0]["state"] == "fresh" for handler in others)
    app.now_ms += 1
    invalidator.revalidate_tag("t")
    app.now_ms += 4998
    assert all(handler.ask(get)[0]["state"] == "fresh" for handler in others)
    assert invalidator.ask(get) == [None]
    app.now_ms += 1
    assert [handler.ask(get) for handler in others] == [[None]] * 3


@pytest.mark.parametrize("prefix", ["/docs", "/docs/a", "/doc", "/blog", "/"])
@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_path_prefix_takes_the_same_pages_whoever_invalidates_it(new_app: Callable[[], App], schema: str, prefix: str) -> None:
    paths = ("/", "/docs", "/docs/a", "/docs/a/b", "/docs-old", "/blog/x")
    left = []
    for party in ("vinext", "ours"):
        app = new_app()
        for path in paths:
            app.vinext[schema].set(path, page(), tags=path_tags(KeySchema(schema), path))
        app.now_ms += 1
        getattr(app, party)[schema].revalidate_by_path_prefix(prefix)
        left.append([path for path in paths if app.vinext[schema].get(path) is not None])
    assert left[0] == left[1]
    assert len(left[0]) < len(paths) or prefix == "/doc"


def test_a_marker_that_is_no_number_invalidates_for_everybody(app: App) -> None:
    app.store("__tag:t", "soon")
    app.vinext["v1"].set("k", page(), tags=["t"])
    raw = app.stored("cache:k")
    for handler in (*app.vinext.values(), app.ours["v1"], app.ours["v2"]):
        assert raw is not None
        app.store("cache:k", raw.decode())
        assert handler.get("k") is None
        assert app.stored("cache:k") is None


# Faults of vinext, and what differs on purpose: each with what either does.


def test_fault_vinext_refuses_its_own_entry_without_an_end(app: App) -> None:
    """JSON has no Infinity: `cacheControl.revalidate` becomes null, which vinext takes for a wrong shape."""
    app.vinext["v2"].set("k", page(), revalidate={"$number": "Infinity"})
    assert json.loads(app.stored("cache:k") or b"")["cacheControl"] == {"revalidate": None}
    assert [app.ours[schema].get("k")["state"] for schema in SCHEMAS] == ["fresh", "fresh"]
    assert app.vinext["v2"].get("k") is None
    assert app.stored("cache:k") is None


@pytest.mark.parametrize("schema", SCHEMAS)
def test_never_stale_as_this_project_writes_it_is_never_stale_for_everybody(app: App, schema: str) -> None:
    app.ours[schema].set("k", page(), revalidate=float("inf"))
    app.now_ms += 400 * DAY * 1000
    assert everybody(app, "k") == all_find("fresh")


@pytest.mark.parametrize("schema", SCHEMAS)
def test_fault_vinext_counts_the_characters_of_metadata_where_kv_counts_bytes(app: App, schema: str) -> None:
    tags = [f"日{number:02}" + "本" * 23 for number in range(14)]
    failure = app.vinext[schema].set("k", page(), tags=tags)
    assert isinstance(failure, Failed)
    assert "413" in failure.message
    assert app.stored("cache:k") is None
    assert app.ours[schema].set("k", page(), tags=tags) is None
    assert app.metadata("cache:k") is None
    assert everybody(app, "k") == all_find("fresh")


def test_fault_vinext_0_0_38_raises_for_a_key_beyond_512_bytes(app: App) -> None:
    key = "unstable_cache:" + "x" * 500
    assert isinstance(app.vinext["v1"].set(key, page()), Failed)
    assert isinstance(app.vinext["v1"].get(key), Failed)
    app.ours["v1"].set(key, page())
    assert [handler.get(key)["state"] for handler in (app.vinext["v2"], app.ours["v1"], app.ours["v2"])] == ["fresh"] * 3


def test_fault_vinext_forgets_an_invalidation_after_30_days(app: App) -> None:
    for party, days in (("vinext", 30), ("ours", 365)):
        for schema in SCHEMAS:
            before = time.time()
            assert getattr(app, party)[schema].revalidate_tag(f"{party}{schema}") is None
            expiration = app.expirations()[f"__tag:{party}{schema}"]
            assert expiration is not None
            # In whole seconds.
            assert before - 1 <= expiration - days * DAY <= time.time() + 1


@pytest.mark.parametrize("schema", SCHEMAS)
def test_fault_a_prefix_invalidation_of_vinext_passes_over_entries_with_many_tags(app: App, schema: str) -> None:
    tags = ["/docs/1", *(f"{number:03}" + "x" * 200 for number in range(6))]
    app.vinext[schema].set("k", page(), tags=tags)
    app.now_ms += 1
    app.vinext[schema].revalidate_by_path_prefix("/docs")
    assert everybody(app, "k") == all_find("fresh")
    app.ours[schema].revalidate_by_path_prefix("/docs")
    assert everybody(app, "k") == all_find(None)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_prefix_invalidation_also_reaches_pages_that_are_not_stored(app: App, schema: str) -> None:
    """Such as those of a build, which are stored when they are first asked for."""
    app.vinext[schema].revalidate_by_path_prefix("/docs")
    assert app.expirations() == {}
    app.ours[schema].revalidate_by_path_prefix("/docs")
    assert sorted(app.expirations()) == ["__last-invalidation", "__tag:/docs", "__tag:_N_T_/docs", "__tag:_N_T_/docs/layout"]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_fault_vinext_loses_content_made_within_the_millisecond_of_an_invalidation(app: App, schema: str) -> None:
    for party, state in (("vinext", None), ("ours", "fresh")):
        handler = getattr(app, party)[schema]
        handler.revalidate_tag("t")
        handler.set("k", page(), tags=["t"])
        assert everybody(app, "k") == all_find(state)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_what_this_project_makes_stale_is_as_it_was_for_vinext_s_handler_and_gone_after_its_time(app: App, schema: str) -> None:
    app.vinext[schema].set("k", page(), tags=["t"])
    app.now_ms += 1
    assert app.ours[schema].revalidate_tag("t", expire=60) is None
    assert everybody(app, "k") == all_find("stale") | {"vinext v1": "fresh", "vinext v2": "fresh"}
    assert sorted(app.expirations()) == ["__last-invalidation", "__last-stale", "__swr:t", "cache:k"]
    app.ours[schema].set("new", page(), tags=["t"])
    app.now_ms += 60_001
    assert everybody(app, "new") == all_find("fresh")
    assert app.ours[schema].get("k") is None


def test_vinext_s_handler_invalidates_at_once_whatever_the_profile_says(app: App) -> None:
    app.ours["v2"].set("k", page(), tags=["t"])
    app.now_ms += 1
    app.vinext["v2"].revalidate_tag("t", expire=60)
    assert everybody(app, "k") == all_find(None)


def test_0_0_38_knows_no_end_of_an_entry_and_the_others_do(app: App) -> None:
    app.vinext["v2"].set("k", page(), revalidate=60, expire=300)
    app.now_ms += 300_001
    assert everybody(app, "k") == all_find(None) | {"vinext v1": "stale"}


def test_0_0_38_knows_no_soft_tags_and_no_period_of_the_reader_and_the_others_do(app: App) -> None:
    app.vinext["v1"].set("k", page(), revalidate=600)
    app.now_ms += 31_000
    assert everybody(app, "k", revalidate=30) == all_find("stale") | {"vinext v1": "fresh"}
    app.ours["v1"].revalidate_tag("soft")
    assert everybody(app, "k", softTags=["soft"]) == all_find(None) | {"vinext v1": "fresh"}


LAX: dict[str, Any] = {
    "a value that is not text": {"kind": "APP_PAGE", "html": 5},
    "a page without html": {"kind": "APP_PAGE"},
    "a status that is text": page(status="200"),
    "a status that is none": page(status=42),
    "a header that is a number": page(headers={"x-a": 5}),
    "a route without a body": {"kind": "APP_ROUTE", "status": 200, "headers": {}},
    "a fetch without data": {"kind": "FETCH"},
    "a redirect without props": {"kind": "REDIRECT"},
}


@pytest.mark.parametrize("name", LAX)
def test_a_value_with_a_wrong_field_is_taken_by_vinext_and_removed_by_this_project(app: App, name: str) -> None:
    app.store("cache:k", json.dumps({"value": LAX[name], "tags": [], "lastModified": app.now_ms, "revalidateAt": None}))
    assert [handler.get("k")["value"] for handler in app.vinext.values()] == [LAX[name]] * 2
    assert app.ours["v2"].get("k") is None
    assert app.stored("cache:k") is None


def test_a_negative_period_is_none_for_vinext_and_refused_by_this_project(app: App) -> None:
    for schema in SCHEMAS:
        assert app.vinext[schema].set("k", page(), revalidate=-1) is None
        assert json.loads(app.stored("cache:k") or b"")["revalidateAt"] is None
        assert "context.revalidate is -1" in app.ours[schema].set("k", page(), revalidate=-1).message


def test_a_value_beyond_25_mib_raises_in_vinext_and_is_not_kept_by_this_project(app: App, runtime: LocalRuntime) -> None:
    large = page(html="x" * (25 * 1024 * 1024))
    assert "413" in app.vinext["v2"].set("k", large).message
    assert app.ours["v2"].set("k", large) is None
    runtime.wait_for_log("cache.value_too_large")
    assert app.stored("cache:k") is None


def test_tags_beyond_ascii_are_encoded_within_this_project_and_before_vinexts_handler(app: App) -> None:
    app.vinext["v2"].set("vinext", page(), tags=["%E6%97%A5"])
    app.ours["v2"].set("ours", page(), tags=["日"])
    assert json.loads(app.stored("cache:ours") or b"")["tags"] == json.loads(app.stored("cache:vinext") or b"")["tags"]
    app.now_ms += 1
    app.ours["v2"].revalidate_tag("日")
    assert [everybody(app, key) for key in ("vinext", "ours")] == [all_find(None)] * 2
    app.ours["v1"].set("plain", page(), tags=["日"])
    assert json.loads(app.stored("cache:plain") or b"")["tags"] == ["日"]


def test_a_lone_surrogate_in_html_becomes_what_a_response_makes_of_it(app: App) -> None:
    app.vinext["v2"].set("k", page("a\ud800b", postponed="\ud800"))
    assert app.vinext["v2"].get("k")["value"] == page("a\ud800b", postponed="\ud800")
    assert app.ours["v2"].get("k")["value"] == page("a\ufffdb", postponed="\ud800")
    app.ours["v2"].set("k", page("a\ud800b"))
    assert app.vinext["v2"].get("k")["value"] == page("a\ufffdb")


def test_the_framed_layout_is_this_project_s_alone(app: App) -> None:
    app.ours["framed"].set("k", page("é"), tags=["t"], revalidate=60)
    assert [handler.get("k")["value"] for handler in app.ours.values()] == [page("é")] * 3
    app.now_ms += 1
    app.vinext["v2"].revalidate_tag("t")
    assert app.ours["framed"].get("k") is None
    app.vinext["v2"].set("k", page("é"))
    assert app.ours["framed"].get("k")["value"] == page("é")
    for handler in app.vinext.values():
        app.now_ms += 1
        app.ours["framed"].set("k", page("é"))
        assert handler.get("k") is None
        assert app.stored("cache:k") is None
