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
from tests.workerd.side_by_side import App, Failed, started

from cache.keys import KeySchema
from cache.tags import path_tags, revalidate_path_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vinext_worker.runtime import LocalRuntime
    from vinext_worker.toolchain import Project

EXAMPLES = 60
STEPS = 15
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
ANY_TEXT = st.text(max_size=12) | st.sampled_from(["\x00\x01\b\t\n\f\r\x1f \"\\/</script>\x7f", "é日本語🎉\u2028\u2029", "\ud800x\udc00"])
BYTES = st.binary(max_size=20).map(lambda data: {"$base64": base64.b64encode(data).decode()})
HEADERS = st.dictionaries(st.sampled_from(["x-a", "Link", "set-cookie", "é"]), ANY_TEXT | st.lists(ANY_TEXT, max_size=2), max_size=3)
STATUSES = st.sampled_from([200, 301, 307, 404, 500])
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
PERIODS = st.sampled_from([1, 30, 60, 600, 0.5])
TAGS = st.sampled_from(
    ["a", "b", "with space", "comma,", "quote'\"", "%C3%A9", "x" * 256]
    + ["", "a:b", "back\\slash", "tab\t", "nul\x00", "x" * 257]
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
    fields({"kind": st.just("REDIRECT"), "props": st.dictionaries(TEXT, JSON_VALUES, max_size=3)}),
    fields({"kind": st.just("IMAGE"), "etag": ANY_TEXT, "buffer": BYTES, "extension": TEXT}, revalidate=PERIODS),
    fields(
        {
            "kind": st.just("FETCH"),
            "data": fields({"headers": st.dictionaries(TEXT, ANY_TEXT, max_size=2), "body": ANY_TEXT, "url": TEXT}, status=STATUSES),
            "tags": st.lists(TAGS, max_size=3),
            "revalidate": PERIODS | st.just(False),  # noqa: FBT003 - JavaScript's
        }
    ),
    st.none(),
)
KEYS = st.sampled_from(["k1", "k2", "k3"])
WHOSE = st.tuples(st.sampled_from(["vinext", "ours"]), st.sampled_from(SCHEMAS))
AFTER = st.sampled_from([1, 1, 2, 100, 1000, 4999, 5001, 30_001, 61_000, 700_000, 40 * DAY * 1000])
CONTEXTS = st.fixed_dictionaries(
    {"tags": st.lists(TAGS, max_size=4)}, optional={"revalidate": PERIODS | st.sampled_from([False, 0]), "expire": PERIODS}
)
ASKED = st.one_of(
    st.just({}),
    st.fixed_dictionaries({}, optional={"softTags": st.lists(TAGS, max_size=2), "revalidate": st.sampled_from([1, 30, 9000])}),
)
OPERATIONS = st.lists(
    st.tuples(
        AFTER,
        WHOSE,
        st.one_of(
            st.tuples(st.just("set"), KEYS, VALUES, CONTEXTS),
            st.tuples(st.just("get"), KEYS, ASKED),
            st.tuples(st.just("revalidate_tag"), st.lists(TAGS, min_size=1, max_size=2)),
            st.tuples(st.just("revalidate_path"), st.sampled_from(["/docs/1", "/docs", "/blog", "/"]), st.sampled_from([None, "page", "layout"])),
            st.tuples(st.just("revalidate_prefix"), st.sampled_from(["/docs", "/docs/1", "/bl", "/blog"])),
        ),
    ),
    min_size=5,
    max_size=STEPS,
)


def set_twice(app: App, whose: tuple[str, str], key: str, value: Any, context: dict[str, Any]) -> None:
    """Write with one handler, and beside it with its counterpart: KV must hold the same."""
    party, schema = whose
    other = {"vinext": "ours", "ours": "vinext"}[party]
    before = app.stored(f"cache:{key}")
    assert getattr(app, party)[schema].set(key, value, **context) is None
    assert getattr(app, other)[schema].set("twin", value, **context) is None
    written, twin = app.stored(f"cache:{key}"), app.stored("cache:twin")
    if context.get("revalidate") == 0 and written == before:
        return
    assert written is not None
    assert written == twin
    assert app.metadata(f"cache:{key}") == app.metadata("cache:twin")


def check_agreement(app: App, key: str, asked: dict[str, Any]) -> None:
    """Ask everybody for a key. vinext 0.0.38 knows neither the end of an entry nor what a reader asks for beyond the key."""
    raw = app.stored(f"cache:{key}")
    expire_at = None if raw is None else json.loads(raw).get("expireAt")
    oldest = app.vinext["v1"].get(key)
    found = {
        "vinext v2": app.vinext["v2"].get(key, **asked),
        "ours v1": app.ours["v1"].get(key, **asked),
        "ours v2": app.ours["v2"].get(key, **asked),
    }
    assert found["ours v1"] == found["vinext v2"]
    assert found["ours v2"] == found["vinext v2"]
    if not asked and (expire_at is None or app.now_ms <= expire_at):
        assert oldest == found["vinext v2"]


def perform(app: App, whose: tuple[str, str], operation: tuple[Any, ...]) -> None:
    party, schema = whose
    handler = getattr(app, party)[schema]
    match operation:
        case ("set", key, value, context):
            set_twice(app, whose, key, value, context)
        case ("get", key, asked):
            check_agreement(app, key, asked)
        case ("revalidate_tag", tags):
            assert handler.revalidate_tag(*tags) is None
        case ("revalidate_path", path, kind):
            assert handler.revalidate_tag(revalidate_path_tag(path, kind)) is None
        case ("revalidate_prefix", prefix):
            assert handler.revalidate_by_path_prefix(prefix) is None
        case _:
            raise AssertionError(operation)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(operations=OPERATIONS)
def test_everybody_agrees_whoever_writes_and_invalidates(new_app: Callable[[], App], operations: list[Any]) -> None:
    app = new_app()
    for after_ms, whose, operation in operations:
        app.now_ms += after_ms
        perform(app, whose, operation)
    app.now_ms += 1
    for key in ("k1", "k2", "k3"):
        check_agreement(app, key, {})
