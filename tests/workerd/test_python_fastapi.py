"""The FastAPI example, as `./scripts/dev --site examples/fastapi` serves it: pydantic's core is a compiled package."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest
from rich.console import Console
from tests.fakes.python_worker import PROJECT
from tests.workerd.patience import eventually

from vinext_worker.dev.preparation import prepare_python_site
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions
from vinext_worker.sites.python_project import PythonProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXAMPLE = PROJECT.root / "examples" / "fastapi"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> PythonProject:
    folder: Path = tmp_path_factory.mktemp("fastapi") / "site"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns(".vinext", "python_modules", "dist"))
    pyproject = folder / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("../..", str(PROJECT.root)))
    site = PythonProject.find(folder)
    assert site is not None
    prepare_python_site(site, PROJECT.tools, Console(quiet=True), site.config.assets_directory)
    return site


@pytest.fixture(scope="module")
def client(site: PythonProject) -> Iterator[httpx.Client]:
    options = RuntimeOptions(config=site.config, tools=PROJECT.tools, vendored=site.packages)
    with LocalRuntime(options) as runtime, httpx.Client(base_url=runtime.url, trust_env=False, timeout=60) as connected:
        yield connected


def state(answer: httpx.Response) -> str | None:
    return answer.headers.get("X-Vinext-Cache")


def test_the_compiled_part_is_what_is_uploaded(site: PythonProject) -> None:
    assert [path.name for path in site.packages.glob("pydantic_core/*.so")]


@pytest.mark.parametrize("path", ["/", "/items/teapot", "/api/items"])
def test_pages_of_the_build_are_hits_from_the_first_request_on(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, state(answer)) in {(200, "HIT"), (200, "STALE")}


def test_a_model_is_a_miss_and_then_a_hit(client: httpx.Client) -> None:
    first = client.get("/api/items/kettle")
    assert (state(first), first.json()) == ("MISS", {"name": "kettle", "price": 39.0, "left": 3})
    again = eventually(lambda: client.get("/api/items/kettle"), lambda answer: state(answer) == "HIT")
    assert (again.json(), again.headers["Content-Type"]) == (first.json(), "application/json")


@pytest.mark.parametrize("path", ["/api/items?below=10", "/docs"])
def test_what_has_no_period_or_a_query_is_made_for_each_request(client: httpx.Client, path: str) -> None:
    answers = [client.get(path) for _ in range(2)]
    assert [(answer.status_code, state(answer)) for answer in answers] == [(200, None)] * 2


def test_what_depends_on_the_visitor_is_nobody_else_s(client: httpx.Client) -> None:
    for user in ("ann", "ben"):
        answer = client.get("/api/me", headers={"Cookie": f"user={user}"})
        assert (answer.json(), state(answer)) == ({"user": user}, None)
    assert client.get("/api/me").status_code == 401


def test_an_unknown_item_and_a_wrong_form_are_fastapi_s_own_answers(client: httpx.Client) -> None:
    assert client.get("/api/items/none").json() == {"detail": "There is no none."}
    wrong = client.post("/api/orders", data={"name": "teapot", "amount": "0"})
    assert (wrong.status_code, wrong.json()["detail"][0]["loc"]) == (422, ["body", "amount"])


def test_a_streamed_answer_is_kept_whole(client: httpx.Client) -> None:
    client.get("/export.csv")
    kept = eventually(lambda: client.get("/export.csv"), lambda answer: state(answer) == "HIT")
    assert kept.text.splitlines()[0] == "name,price,left"
    assert kept.headers["Content-Type"].startswith("text/csv")


def test_the_description_of_the_api_has_the_models(client: httpx.Client) -> None:
    assert client.get("/openapi.json").json()["components"]["schemas"]["Item"]["required"] == ["name", "price", "left"]


def test_an_order_makes_the_pages_anew(client: httpx.Client) -> None:
    ordered = client.post("/api/orders", data={"name": "spoon", "amount": "3"})
    assert (ordered.status_code, ordered.json()["left"]) == (201, 397)
    answer = client.get("/items/spoon")
    assert state(answer) != "HIT"
    assert "397 left" in eventually(lambda: client.get("/items/spoon").text, lambda text: "397" in text)
