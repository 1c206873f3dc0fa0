"""The rules of an app that come before its page cache, as the adapter writes them down."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.keys import KeySchema
from core.paths import normalize_path
from seed.build import Artifact, ManifestError
from seed.manifest import parse_route
from seed.routes import record_of
from seed.routing import ROUTING_NAME, Routing, read_routing
from seed.rules import STAGES_VERSION, Rule, touching_rule

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT: dict[str, Any] = {
    "version": 1,
    "buildId": "b1",
    "rules": [{"path": "/staging", "prefix": True, "name": "proxy.ts: /staging/:path*"}],
    "headers": {"sets": [{"X-Frame-Options": "DENY"}], "paths": {"/": 0, "/about": 0}},
}


def routing(**changed: Any) -> Routing:
    return Routing.from_json(json.dumps(DOCUMENT | changed).encode(), "b1", "routing.json")


def test_an_adapter_that_the_worker_does_not_understand_is_named(tmp_path: Path) -> None:
    for stages in (0, STAGES_VERSION):
        (tmp_path / ROUTING_NAME).write_text(json.dumps(DOCUMENT | {"stages": stages}))
        assert read_routing(tmp_path, "b1") == routing(stages=stages)
    (tmp_path / ROUTING_NAME).write_text(json.dumps(DOCUMENT | {"stages": STAGES_VERSION + 1, "adapter": "9.0.0"}))
    with pytest.raises(ManifestError, match=r"vinext-worker-adapter 9\.0\.0, which speaks version 2 .* and this is version 1"):
        read_routing(tmp_path, "b1")


@pytest.mark.parametrize(
    ("rule", "path", "expected"),
    [
        (("/staging", True), "/staging", True),
        (("/staging", True), "/staging/a", True),
        (("/staging", True), "/Staging", True),
        (("/staging", True), "/stagin", False),
        (("/staging", True), "/a/staging", False),
        (("/ab", False), "/ab", True),
        (("/ab", False), "/AB", True),
        (("/ab", False), "/abc", False),
        (("/ab", False), "/ab/c", False),
        (("/", True), "/", True),
        (("/", True), "/any/page", True),
        (("/", False), "/", True),
        (("/", False), "/any", False),
        (("/h%C3%A9llo", False), "/h%C3%A9llo", True),
        (("/a%2Fb", False), "/a%2fb", True),
        (("/old/", False), "/old", True),
        (("/old/", False), "/old/", True),
        (("/%2561", False), "/%2561", True),
        (("/%2561", False), "/a", False),
    ],
)
def test_a_rule_may_touch_a_path(rule: tuple[str, bool], path: str, *, expected: bool) -> None:
    (given_rule,) = routing(rules=[{"path": rule[0], "prefix": rule[1], "name": "proxy.ts"}]).rules
    assert touching_rule([given_rule], normalize_path(path)) == (given_rule if expected else None)


@given(st.text(max_size=30))
def test_a_rule_that_cannot_be_read_may_touch_every_path(path: str) -> None:
    documents: tuple[Any, ...] = (None, [], {"path": "a", "prefix": True, "name": "a"}, {"path": "/a", "prefix": 1, "name": "a"})
    for document in documents:
        assert touching_rule([Rule.from_document(document)], normalize_path(f"/{path}")) is not None


def test_a_rule_is_the_same_when_it_is_copied() -> None:
    for path in ("/%2561", "/old/", "/100%25", "/É"):
        (rule,) = routing(rules=[{"path": path, "prefix": False, "name": "proxy.ts"}]).rules
        assert Rule.from_document(rule.to_document()) == rule


def test_the_file_says_what_comes_before_the_cache() -> None:
    read = routing()
    assert read.rules == (Rule("/staging", is_prefix=True, name="proxy.ts: /staging/:path*"),)
    assert read.headers_of("/about") == {"x-frame-options": "DENY"}
    assert read.headers_of("/blog") == {}


@pytest.mark.parametrize(
    "changed",
    [
        {"version": 2},
        {"buildId": "b2"},
        {"rules": None},
        {"rules": 5},
        {"headers": {}},
        {"headers": {"sets": [], "paths": {"/": 0}}},
        {"headers": {"sets": [5], "paths": {}}},
        {"headers": []},
    ],
    ids=str,
)
def test_another_file_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ManifestError, match=r"routing\.json .* build the site again"):
        routing(**changed)


def test_what_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / ROUTING_NAME).write_text("{")
    with pytest.raises(ManifestError, match="cannot be read"):
        read_routing(tmp_path, "b1")


def test_a_build_of_another_adapter_has_no_such_file(tmp_path: Path) -> None:
    assert read_routing(tmp_path, "b1") is None


def test_of_the_headers_of_next_config_a_page_behind_a_rule_keeps_the_cache_control() -> None:
    """vinext's request stage adds the others to each answer, and leaves that one to the stage that renders."""
    headers = {"x-frame-options": "DENY", "cache-control": "public, max-age=7"}
    routing = Routing(
        rules=(Rule("/about", is_prefix=False, name="r"),), header_sets=(headers,), header_set_numbers={"/about": 0}
    )
    route = parse_route({"route": "/about", "status": "rendered", "router": "app", "revalidate": 60})
    record = record_of(route, KeySchema.V2, {Artifact.HTML: "a", Artifact.RSC: "b"}, routing)
    assert record.headers == {"cache-control": "public, max-age=7"}
    assert record.rsc_headers["cache-control"] == "public, max-age=7"
