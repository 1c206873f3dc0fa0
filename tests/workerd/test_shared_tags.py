"""Two isolates and the Durable Object of tags, in workerd: what one invalidates, the other does not serve any more."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest
from tests.fakes.python_worker import FIXTURE, python_worker
from tests.workerd.patience import eventually
from tests.workerd.stubs import events

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vinext_worker.local_runtime import LocalRuntime

TOKEN = "correct horse battery staple"


def bound(**classes: str) -> str:
    """Return the configuration of Durable Objects: their classes, by binding."""
    bindings = (f'[[durable_objects.bindings]]\nname = "{name}"\nclass_name = "{of}"\n\n' for name, of in classes.items())
    return f'\n\n{"".join(bindings)}[[migrations]]\ntag = "v1"\nnew_sqlite_classes = {list(classes.values())}\n'


ENTRY = """
import asyncio
import time

from pyodide.ffi import run_sync
from vinext import Page, revalidate_tag, use_function
from vinext import worker
from vinext.worker import Default  # noqa: F401
from workers import DurableObject, env

renderings = 0


class VinextTags(worker.VinextTags):
    async def hurry(self):
        self.ctx.storage.sql.exec("UPDATE due_page SET due_ms = 1")
        await self.ctx.storage.setAlarm(int(time.time() * 1000))
        return True

    async def regenerate(self, key, job):
        if "/page/fatal" in key and await env.VINEXT_CACHE.get("test:fatal"):
            self.ctx.abort("out of memory")
        return await super().regenerate(key, job)


class Own(DurableObject):
    def waits(self):
        run_sync(asyncio.sleep(0.001))
        return "waited"


async def pages(request):
    global renderings
    kind, name = request.url.split("/")[-2:]
    if kind == "invalidate":
        await revalidate_tag(name)
        return Page(f"{name} is gone")
    if kind == "make-stale":
        await revalidate_tag(name, profile="hours")
        return Page(f"{name} is stale")
    if kind == "hurry":
        return Page(str(await env.VINEXT_TAGS.getByName(":0/1").hurry()))
    if kind == "own":
        return Page(await env.OWN.getByName(name).waits())
    renderings += 1
    what = await env.VINEXT_CACHE.get(f"test:{name}")
    if what == "fails":
        raise RuntimeError(f"{name} cannot be made")
    if what == "hangs":
        await asyncio.Event().wait()
    await asyncio.sleep(0.2)
    return Page(f"{name} {renderings}", revalidate=3600, tags=(name,))


use_function(pages)
"""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    folder: Path = tmp_path_factory.mktemp("site")
    (folder / "src").mkdir()
    (folder / "wrangler.toml").write_text((FIXTURE / "wrangler.toml").read_text() + bound(VINEXT_TAGS="VinextTags", OWN="Own"))
    (folder / "src" / "entry.py").write_text(ENTRY)
    # One machine has one clock, so no page is rendered twice for the sake of clocks that differ.
    variables = {"VINEXT_TAG_CACHE_MS": "0", "VINEXT_CLOCK_SKEW_MS": "0", "VINEXT_ADMIN_TOKEN": TOKEN}
    with python_worker(variables, folder=folder, isolates=2, faults=True) as started:
        yield started


@pytest.fixture(autouse=True)
def healed(runtime: LocalRuntime) -> None:
    runtime.heal()


def ask(url: str, path: str) -> tuple[str, str | None]:
    answer = httpx.get(url + path, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.text, answer.headers.get("X-Vinext-Cache")


def states(runtime: LocalRuntime, path: str) -> list[str | None]:
    return [ask(url, path)[1] for url in runtime.urls]


def warm(runtime: LocalRuntime, path: str) -> None:
    """Bring a page into the memory of both isolates. KV's markers were read by then, and are not read again for seconds."""
    ask(runtime.urls[0], path)
    eventually(lambda: states(runtime, path) == ["HIT", "HIT"])


def test_an_invalidation_holds_in_the_other_isolate_at_once(runtime: LocalRuntime) -> None:
    warm(runtime, "/page/a")
    warm(runtime, "/page/b")
    ask(runtime.urls[0], "/invalidate/a")
    assert ask(runtime.urls[1], "/page/a")[1] == "MISS"
    assert states(runtime, "/page/b") == ["HIT", "HIT"]


def test_a_stale_invalidation_too(runtime: LocalRuntime) -> None:
    warm(runtime, "/page/c")
    ask(runtime.urls[1], "/make-stale/c")
    assert ask(runtime.urls[0], "/page/c")[1] == "STALE"


def test_of_two_isolates_one_regenerates_a_stale_page(runtime: LocalRuntime) -> None:
    warm(runtime, "/page/popular")
    ask(runtime.urls[0], "/make-stale/popular")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda turn: ask(runtime.urls[turn % 2], "/page/popular")[1], range(4)))
    assert "STALE" in answers

    def made() -> list[object]:
        return [event["path"] for event in events(runtime, "page.regenerated") if event["path"] == "/page/popular"]

    eventually(made)
    states(runtime, "/page/popular")
    assert made() == ["/page/popular"]


def unfinished(runtime: LocalRuntime, state: str) -> dict[str, dict[str, object]]:
    """Return the pages of a state, "" all of them, by the end of their URLs."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    url = f"{runtime.urls[1]}/__vinext/pages{f'?state={state}' if state else ''}"
    answer = httpx.get(url, headers=headers, trust_env=False)
    assert answer.status_code == 200, answer.text
    return {page["url"].rpartition("/")[2]: page for page in answer.json()["pages"]}


def test_a_page_that_fails_is_regenerated_by_the_alarm(runtime: LocalRuntime) -> None:
    warm(runtime, "/page/fragile")
    old = ask(runtime.urls[1], "/page/fragile")
    runtime.kv().put("test:fragile", "fails")
    ask(runtime.urls[0], "/make-stale/fragile")
    assert ask(runtime.urls[1], "/page/fragile") == (old[0], "STALE")
    failed = eventually(lambda: unfinished(runtime, "failed").get("fragile"))
    assert failed is not None
    assert failed["error"] == "entry:pages raised RuntimeError: fragile cannot be made"
    eventually(lambda: unfinished(runtime, "failed").get("fragile", {}).get("tries") == 2)
    runtime.kv().delete("test:fragile")
    ask(runtime.urls[0], "/hurry/now")  # four seconds later
    eventually(lambda: unfinished(runtime, "") == {})
    eventually(lambda: [event for event in events(runtime, "page.regenerated") if event["path"] == "/page/fragile"])


def test_a_page_whose_regeneration_is_lost_is_regenerated_by_the_alarm(runtime: LocalRuntime) -> None:
    warm(runtime, "/page/lost")
    runtime.kv().put("test:lost", "hangs")
    ask(runtime.urls[0], "/make-stale/lost")
    assert ask(runtime.urls[1], "/page/lost")[1] == "STALE"
    eventually(lambda: unfinished(runtime, "running").get("lost"))
    runtime.kv().delete("test:lost")
    ask(runtime.urls[0], "/hurry/now")  # half a minute later
    eventually(lambda: [event for event in events(runtime, "page.regenerated") if event["path"] == "/page/lost"])
    eventually(lambda: unfinished(runtime, "") == {})


def test_a_page_that_ends_an_object_does_not_end_the_one_that_knows_the_tags(runtime: LocalRuntime) -> None:
    warm(runtime, "/page/fatal")
    runtime.kv().put("test:fatal", "fails")
    ask(runtime.urls[0], "/make-stale/fatal")
    assert ask(runtime.urls[1], "/page/fatal")[1] == "STALE"
    eventually(lambda: unfinished(runtime, "failed").get("fatal"))
    ask(runtime.urls[0], "/hurry/now")
    eventually(lambda: "out of memory" in str(unfinished(runtime, "failed").get("fatal")))
    runtime.kv().delete("test:fatal")
    ask(runtime.urls[0], "/hurry/now")
    eventually(lambda: unfinished(runtime, "") == {})


def test_an_object_writes_markers_that_kv_did_not_take(runtime: LocalRuntime) -> None:
    warm(runtime, "/page/e")
    runtime.fail("VINEXT_CACHE", "put")
    ask(runtime.urls[0], "/invalidate/e")
    assert ask(runtime.urls[1], "/page/e")[1] == "MISS"
    eventually(lambda: [event for event in events(runtime, "tags.marker_waits") if event["key"] == "__tag:e"])
    assert runtime.kv().get("__tag:e") is None
    runtime.heal()
    eventually(lambda: runtime.kv().get("__tag:e"))


def test_a_sites_own_objects_may_wait_without_await(runtime: LocalRuntime) -> None:
    assert [ask(url, "/own/x")[0] for url in runtime.urls * 2] == ["waited"] * 4


def test_without_an_answer_the_cache_goes_on_and_catches_up(runtime: LocalRuntime) -> None:
    warm(runtime, "/page/d")
    old = ask(runtime.urls[1], "/page/d")
    runtime.fail("VINEXT_TAGS", "note", "throw")
    runtime.fail("VINEXT_TAGS", "since", "hang")
    ask(runtime.urls[0], "/invalidate/d")
    new = ask(runtime.urls[0], "/page/d")
    assert new[1] == "MISS"
    assert ask(runtime.urls[1], "/page/d") == old
    eventually(lambda: events(runtime, "tags.unreachable"))
    runtime.heal()
    eventually(lambda: ask(runtime.urls[1], "/page/d")[0] == new[0])


NO_STORE_ENTRY = """
from vinext import Page, use_function
from vinext.worker import Default, VinextTags  # noqa: F401
from workers import env


async def pages(request):
    leases = env.VINEXT_TAGS.getByName("leases")
    taken_ms = await leases.take(request.url, 0, 0, "a job")
    return Page(f"{taken_ms > 0} {await leases.pages('', '')}")


use_function(pages)
"""


def test_an_object_that_cannot_store_pages_gives_leases_and_keeps_no_jobs(tmp_path: Path) -> None:
    """It may be the object of a Worker of its own, which another Worker with a store asks."""
    (tmp_path / "src").mkdir()
    before, _, after = (FIXTURE / "wrangler.toml").read_text().partition("[[kv_namespaces]]")
    (tmp_path / "wrangler.toml").write_text(before + after[after.index("[[") :] + bound(VINEXT_TAGS="VinextTags"))
    (tmp_path / "src" / "entry.py").write_text(NO_STORE_ENTRY)
    with python_worker(folder=tmp_path) as runtime:
        assert ask(runtime.url, "/page/a") == ("True []", None)
        (event,) = eventually(lambda: events(runtime, "tags.no_retries"))
        assert event["error"] == "the object cannot regenerate pages"
