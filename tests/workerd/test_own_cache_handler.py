"""A cache handler of the site's own, by `VINEXT_CACHE_HANDLER`: that of docs/own-cache-handlers.md, with a real D1 database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest
from tests.fakes.own_cache_page import EXAMPLE, WRAPPER
from tests.fakes.python_worker import FIXTURE, python_worker
from tests.workerd.patience import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vinext_worker.local_runtime import LocalRuntime

# Which handler a site has is decided once in an isolate, so each is the site of a host of its own here.
OWN = """
import own_cache
from wrapper import Announced


class Lacking:
    def __init__(self, context):
        pass


def cache(context):
    match context.prefix:
        case "raises":
            raise ValueError("no database")
        case "lacking":
            return Lacking(context)
        case "announced":
            return Announced(context)
    return own_cache.pages_in_d1(context)
"""
PAGES = """
from vinext import Page, revalidate_tag, use_function

made = 0


async def pages(request):
    global made
    if request.url.endswith("/revalidate"):
        await revalidate_tag("posts")
        return Page("done")
    made += 1
    return Page(f"<p>é {made}</p>", revalidate=60, tags=["posts"])


use_function(pages)
"""
D1 = """
[[d1_databases]]
binding = "PAGES_DB"
database_name = "pages"
"""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    folder: Path = tmp_path_factory.mktemp("site")
    sources = {"own_cache": EXAMPLE, "wrapper": WRAPPER, "choice": OWN, "own_pages": PAGES}
    (folder / "src").mkdir()
    for name, source in sources.items():
        (folder / "src" / f"{name}.py").write_text(source)
    (folder / "src" / "entry.py").write_text("import own_pages\nfrom vinext.worker import Default\n")
    (folder / "wrangler.toml").write_text((FIXTURE / "wrangler.toml").read_text() + D1)
    tenants = ",".join(f"{name}.example={name}" for name in ("a", "b", "raises", "lacking", "announced"))
    variables = {"VINEXT_CACHE_HANDLER": "choice:cache", "VINEXT_TENANTS": tenants}
    with python_worker(variables, folder=folder, isolates=2) as started:
        yield started


def ask(runtime: LocalRuntime, site: str, path: str = "/", isolate: int = 0) -> tuple[str | None, str]:
    url = f"{runtime.urls[isolate]}{path}"
    answer = httpx.get(url, headers={"Host": f"{site}.example"}, trust_env=False, timeout=60).raise_for_status()
    return answer.headers.get("X-Vinext-Cache"), answer.text


def made_and_kept(runtime: LocalRuntime, site: str) -> str:
    """Ask for a page that is not there yet until it comes from the cache, and return its text."""
    state, text = ask(runtime, site)
    assert state == "MISS"
    eventually(lambda: ask(runtime, site) == ("HIT", text))
    return text


def test_pages_are_kept_in_the_site_s_own_store_for_every_isolate_and_apart_from_other_sites(runtime: LocalRuntime) -> None:
    text = made_and_kept(runtime, "a")
    assert ask(runtime, "a", isolate=1) == ("HIT", text)
    assert made_and_kept(runtime, "b") != text
    assert not [key for key in runtime.kv().names() if "cache:" in key]
    ask(runtime, "a", "/revalidate")
    assert made_and_kept(runtime, "a") != text


@pytest.mark.parametrize(
    ("site", "said"),
    [("raises", "choice:cache raised ValueError: no database"), ("lacking", "this one has no get, set, revalidate_tag")],
)
def test_one_that_cannot_be_used_is_one_line_and_the_worker_s_own_cache(runtime: LocalRuntime, site: str, said: str) -> None:
    made_and_kept(runtime, site)
    runtime.wait_for_log(said)
    assert runtime.kv().names(f"{site}:cache:")


def test_a_wrapper_s_methods_are_called_and_the_others_are_the_worker_s(runtime: LocalRuntime) -> None:
    made_and_kept(runtime, "announced")
    ask(runtime, "announced", "/revalidate")
    runtime.wait_for_log("own_cache.invalidated")
    made_and_kept(runtime, "announced")
