"""`unstable_cache` of a real vinext Worker and `@cached` of a Python one: the same data, in one namespace, under one prefix."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from rich.console import Console
from tests.fakes.python_worker import python_worker
from tests.workerd.patience import eventually
from tests.workerd.visitor import Visitor

from cache.keys import KeySchema, data_cache_key, data_cache_key_v2, fnv1a64_base36, kv_key
from vinext_worker.local_runtime import BuildService
from vinext_worker.sites.site_build import build_vinext_site

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vinext_worker.local_runtime import LocalRuntime
    from vinext_worker.project import Project

SITES = {"vinext-1.4.0": KeySchema.V2, "vinext-0.0.38": KeySchema.V1}
PREFIX = "own"
KEYS = ["data", "münze"]
OPTIONS = {"9": "nine", "10": "ten", "limit": 3, "é": [1.5, None]}
BOTH = ["vinext", "python"]
_numbers = count(1)


@dataclass(frozen=True)
class Given:
    """The result of a call, and how often the Worker had run its own function for these arguments by then."""

    result: Mapping[str, Any]
    runs: int

    @property
    def made(self) -> str:
        """The Worker whose function returned the result, and the number of the run."""
        return f"{self.result['by']} {self.result['run']}"


@dataclass(frozen=True)
class SharedData:
    """A vinext Worker and a Python Worker that have the same function."""

    schema: KeySchema
    runtime: LocalRuntime
    vinext: Visitor
    python: Visitor
    source: str

    @property
    def serves_stale(self) -> bool:
        """Whether `unstable_cache` returns a stale result at once; before 1.0 it waits for the fresh one."""
        return self.schema is KeySchema.V2

    def ask(self, who: str, slug: str, **said: object) -> Given:
        """Let one of BOTH call its cached function; `said` are its tags, its period, and `keyless`."""
        query = {"slug": slug, **said}
        if who == "vinext":
            answer = self.vinext.ask(f"/api/data?{urlencode(query, doseq=True)}")
        else:
            answer = self.python.ask(f"/data?{urlencode({**query, 'source': self.source}, doseq=True)}")
        assert answer.status == 200, answer
        return Given(**json.loads(answer.body))

    def invalidate(self, who: str, **what: str) -> None:
        """Let one of BOTH invalidate a `tag` or a `path`."""
        visitor, path = (self.vinext, "/api/revalidate") if who == "vinext" else (self.python, "/invalidate")
        assert visitor.ask(f"{path}?{urlencode(what)}").status == 200

    def key(self, slug: str, *, keyless: bool = False) -> str:
        arguments = [slug, OPTIONS]
        if self.schema is KeySchema.V2:
            return kv_key(data_cache_key_v2(self.source, None if keyless else KEYS, arguments), PREFIX)
        return kv_key(data_cache_key([fnv1a64_base36(self.source)] if keyless else KEYS, arguments), PREFIX)

    def stored(self, slug: str, *, keyless: bool = False) -> dict[str, Any]:
        """Return the entry in the namespace, an empty one if there is none."""
        found: dict[str, Any] = json.loads(self.runtime.kv().get(self.key(slug, keyless=keyless)) or b"{}")
        return found

    def until_stored(self, slug: str, made: str) -> None:
        def made_by() -> str:
            stored = self.stored(slug)
            return Given(json.loads(stored["value"]["data"]["body"])["v"], 0).made if stored else ""

        eventually(made_by, lambda found: found == made)


@pytest.fixture(scope="module", params=SITES)
def shared(request: pytest.FixtureRequest, project: Project) -> Iterator[SharedData]:
    built = build_vinext_site(project.root / "tests" / "fixtures" / "sites" / request.param, project.tools, Console(stderr=True))
    schema = SITES[request.param]
    variables = {
        "VINEXT_PAGE_HANDLER": "shared_data_app:handler",
        "VINEXT_APP_PREFIX": PREFIX,
        "VINEXT_KEY_SCHEMA": schema.value,
        "VINEXT_TAG_CACHE_MS": "0",
        "VINEXT_CLOCK_SKEW_MS": "0",
    }
    with python_worker(variables, services={"VINEXT": BuildService(built.server_config)}) as runtime:
        vinext = Visitor(runtime.service_urls["VINEXT"])
        source = vinext.ask("/api/data?source").text
        yield SharedData(schema, runtime, vinext, Visitor(runtime.url), source)


@pytest.fixture
def slug() -> str:
    """An argument that the function has not been called with."""
    return f"ü \"'</>& 😀 {next(_numbers)}"


def other(who: str) -> str:
    return BOTH[who == BOTH[0]]


def test_the_function_s_text_is_that_of_the_build(shared: SharedData) -> None:
    assert shared.source.startswith("async function")
    assert "vinext" in shared.source


@pytest.mark.parametrize("keyless", [False, True], ids=["key parts", "no key parts"])
@pytest.mark.parametrize("maker", BOTH)
def test_a_result_of_one_is_a_hit_with_the_other(shared: SharedData, slug: str, maker: str, keyless: bool) -> None:  # noqa: FBT001 - a case
    said = {"keyless": ""} if keyless else {}
    made = shared.ask(maker, slug, tag="shared", **said)
    assert (made.made, made.runs) == (f"{maker} 1", 1)
    assert made.result == {"by": maker, "run": 1, "slug": slug, "options": OPTIONS}
    for who, runs in ((other(maker), 0), (maker, 1), (other(maker), 0)):
        assert shared.ask(who, slug, tag="shared", **said) == Given(made.result, runs)
    assert shared.stored(slug, keyless=keyless)["value"]["kind"] == "FETCH"


@pytest.mark.parametrize("period", [{"revalidate": 60}, {}], ids=["a period", "no period"])
def test_both_write_the_same_but_for_the_time_and_a_field_of_ours(
    shared: SharedData, slug: str, period: Mapping[str, int]
) -> None:
    entries = []
    for who in BOTH:
        shared.ask(who, slug, tag=["shared", "münzen"], **period)
        entry = shared.stored(slug)
        body = json.loads(entry["value"]["data"].pop("body"))["v"]
        assert body.pop("by") == who
        made_ms, stale_ms = entry.pop("lastModified"), entry.pop("revalidateAt")
        assert ("keyHash" in entry) is (who == "python")
        entry.pop("keyHash", None)
        # vinext 0.0.38 looks at the clock twice, which may be some milliseconds apart.
        assert stale_ms is None if not period else abs(stale_ms - made_ms - 60_000) < 1000
        entries.append((entry, body, shared.runtime.kv().metadata(shared.key(slug))))
        shared.runtime.kv().delete(shared.key(slug))
    assert entries[0] == entries[1]


@pytest.mark.parametrize("invalidator", BOTH)
@pytest.mark.parametrize("maker", BOTH)
def test_a_tag_invalidated_by_either_is_invalid_for_both(shared: SharedData, slug: str, maker: str, invalidator: str) -> None:
    # Each case has its own tag: vinext 1.4 remembers the marker of a tag for five seconds.
    tag = f"münzen 😀 {next(_numbers)}"
    said = {"tag": ["other", tag]}
    shared.ask(maker, slug, **said)
    time.sleep(0.002)  # an invalidation in the millisecond of the entry counts, one before it does not
    shared.invalidate(invalidator, tag=tag)
    anew = shared.ask(other(maker), slug, **said)
    assert (anew.made, anew.runs) == (f"{other(maker)} 1", 1)
    assert shared.ask(maker, slug, **said) == Given(anew.result, 1)


@pytest.mark.parametrize("invalidator", BOTH)
def test_another_tag_invalidates_nothing(shared: SharedData, slug: str, invalidator: str) -> None:
    made = shared.ask("vinext", slug, tag="kept")
    shared.invalidate(invalidator, tag=f"another {next(_numbers)}")
    assert [shared.ask(who, slug, tag="kept").made for who in BOTH] == [made.made] * 2


def test_a_path_invalidated_by_vinext_has_its_data_computed_again_in_python(shared: SharedData, slug: str) -> None:
    shared.ask("vinext", slug)
    assert shared.ask("python", slug).made == "vinext 1"
    shared.invalidate("vinext", path="/data")
    assert shared.ask("python", slug).made == "python 1"
    assert shared.ask("vinext", slug).made == "python 1"


def test_a_path_invalidated_by_python_has_its_data_computed_again_in_vinext_within_five_seconds(
    shared: SharedData, slug: str
) -> None:
    if shared.schema is KeySchema.V1:
        pytest.skip("vinext 0.0.38 knows no paths of data")
    shared.ask("python", slug)
    assert shared.ask("vinext", slug).made == "python 1"
    shared.invalidate("python", path="/api/data")
    anew = eventually(lambda: shared.ask("vinext", slug), lambda given: given.made != "python 1")
    assert anew.made == "vinext 1"
    shared.until_stored(slug, "vinext 1")


def test_a_stale_result_is_returned_and_refreshed_by_either(shared: SharedData, slug: str) -> None:
    assert shared.ask("vinext", slug, revalidate=1).made == "vinext 1"
    time.sleep(1.1)
    assert shared.ask("python", slug, revalidate=1).made == "vinext 1"
    shared.until_stored(slug, "python 1")
    time.sleep(1.1)
    assert shared.ask("vinext", slug, revalidate=1).made == ("python 1" if shared.serves_stale else "vinext 2")
    shared.until_stored(slug, "vinext 2")
    assert shared.ask("python", slug).made == "vinext 2"


def test_neither_reports_an_error_in_the_other_s_entries(shared: SharedData) -> None:
    shared.ask("vinext", "the last")
    assert [line for line in shared.runtime.logs if line.level in {"error", "warn"}] == []
