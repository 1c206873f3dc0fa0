"""Two real builds of vinext, awkward names included, served whole; the page handler must not be needed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.workerd.builds import copy_as_built_now, recorded_build
from tests.workerd.stubs import FIXTURES, FORBIDDEN, files_below

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.workerd.visitor import Answer
    from tests.workerd.worker_pool import ColdWorker, WorkerPool

    from vinext_worker.sites.site_build import SiteBuild

# The first is in the pages of the recorded build of 1.4.0, which is not the build whose answers were recorded. The second is what
# those have; the recorded build has no file that tells it.
COMPATIBILITY_ID = "c5f043bb-bb76-4dc5-9f5a-dfb87cc1a2ec"
RSC_BUILD_ID = "e89ebdb8010baff90f4c5eccf960d75e"
ROUTES = {"0.0.38": 38, "1.4.0": 36}
# Pages with less than this may get stale while the tests run.
SHORT_SECONDS = 120


@dataclass(frozen=True)
class ServedRecord:
    """A recorded build behind a Worker whose page handler answers nothing of use."""

    version: str
    built: SiteBuild
    worker: ColdWorker

    @property
    def rows(self) -> Sequence[dict[str, Any]]:
        """The routes that are seeded, read from the manifest without the project's code."""
        rows = json.loads(self.built.manifest.read_text())["routes"]
        return [row for row in rows if row["status"] == "rendered" and row["router"] == "app" and not row.get("fallback")]

    def artifact(self, path: str, suffix: str) -> bytes | None:
        name = "index" if path == "/" else path[1:]
        file = self.built.artifacts_directory / f"{name}{suffix}"
        return file.read_bytes() if file.is_file() else None

    def rsc_requests(self, path: str) -> Iterator[tuple[str, dict[str, str]]]:
        """The ways in which a client of this version asks for a payload."""
        yield f"{path}.rsc", {}
        if self.version == "1.4.0":
            yield path, {"RSC": "1"}
            yield f"{path}?_rsc", {"RSC": "1", "Accept": "text/x-component"}
        else:
            yield path, {"Accept": "text/x-component"}


@pytest.fixture(scope="module", params=ROUTES)
def record(request: pytest.FixtureRequest, kv_pool: WorkerPool, tmp_path_factory: pytest.TempPathFactory) -> ServedRecord:
    version: str = request.param
    folder: Path = tmp_path_factory.mktemp(f"recorded-{version}")
    (folder / "server").mkdir()
    (folder / "server" / "RSC_BUILD_ID").write_text(RSC_BUILD_ID)
    built = recorded_build(FIXTURES / "vinext" / version, version)
    worker = kv_pool.take()
    worker.assets.fill(files_below(copy_as_built_now(built, folder)))
    worker.pages.plan_for(FORBIDDEN)
    return ServedRecord(version, built, worker)


def what_is_wrong(answer: Answer, row: dict[str, Any], body: bytes, content_type: str) -> object:
    """Everything about an answer that is not as the build has it, None where nothing is."""
    status = row.get("responseStatus", 404 if row["route"] == "/404" else 200)
    states = {"HIT", "STALE"} if 0 < (row["revalidate"] or SHORT_SECONDS) < SHORT_SECONDS else {"HIT"}
    if (
        answer.state in states
        and answer.body == body
        and (answer.status, answer.headers["content-type"]) == (status, content_type)
    ):
        return None
    return answer.status, answer.state, answer.headers.get("content-type"), len(answer.body)


def test_every_page_is_a_hit_and_byte_identical(record: ServedRecord) -> None:
    wrong = {}
    for row in record.rows:
        path = row.get("path", row["route"])
        body = record.artifact(path, ".html")
        assert body is not None, path
        wrong[path] = what_is_wrong(record.worker.visitor.ask(path), row, body, "text/html; charset=utf-8")
    assert len(wrong) == ROUTES[record.version]
    assert {path: found for path, found in wrong.items() if found is not None} == {}
    assert record.worker.events("seed.failed") == []


def test_every_rsc_payload_is_a_hit_and_byte_identical(record: ServedRecord) -> None:
    content_type = "text/x-component" if record.version == "1.4.0" else "text/x-component; charset=utf-8"
    wrong = {}
    for row in record.rows:
        path = row.get("path", row["route"])
        body = record.artifact(path, ".rsc")
        if body is None:
            assert path == "/404"
            continue
        for url, headers in record.rsc_requests(path):
            answer = record.worker.visitor.ask(url, headers=headers)
            wrong[url, str(headers)] = what_is_wrong(answer, row, body, content_type)
    assert {asked: found for asked, found in wrong.items() if found is not None} == {}
    assert len(wrong) == (ROUTES[record.version] - 1) * (3 if record.version == "1.4.0" else 2)


def test_the_page_handler_is_not_asked(record: ServedRecord) -> None:
    lasting = {row.get("path", row["route"]) for row in record.rows if not 0 < (row["revalidate"] or 0) < SHORT_SECONDS}
    for path in lasting:
        record.worker.visitor.ask(path)
    assert [each.path for each in record.worker.pages.requests() if each.path in lasting] == []


def test_pages_of_the_pages_router_and_their_data_are_hits(record: ServedRecord) -> None:
    manifest = json.loads(record.built.manifest.read_text())
    paths = [row.get("path", row["route"]) for row in manifest["routes"] if row.get("router") == "pages"]
    assert len(paths) == 4
    for path in paths:
        page = record.worker.visitor.ask(path)
        assert (page.status, page.body) == (200, record.artifact(path, ".html"))
        data = record.worker.visitor.ask(f"/_next/data/{manifest['buildId']}{path}.json")
        assert {page.state, data.state} <= {"HIT", "STALE"}
        assert "pageProps" in json.loads(data.body)


def test_what_was_not_rendered_is_the_page_handler_s(record: ServedRecord) -> None:
    rows = json.loads(record.built.manifest.read_text())["routes"]
    served = [*record.rows, *(row for row in rows if row.get("router") == "pages")]
    paths = {row.get("path", row["route"]) for row in rows} - {row.get("path", row["route"]) for row in served}
    assert paths
    for path in paths:
        answer = record.worker.visitor.ask(path)
        assert (answer.status, answer.state) == (599, None), path


COMPARED = ("content-type", "cache-control", "vary", "x-vinext-cache", "x-nextjs-cache")
COMPARED_OF_RSC = (
    "x-vinext-params",
    "x-vinext-rendered-path-and-search",
    "x-vinext-rsc-build-id",
)


def test_a_hit_has_the_headers_that_vinext_s_own_worker_gave_it(record: ServedRecord) -> None:
    if record.version != "1.4.0":
        pytest.skip("only the newer version's own Worker was recorded with its seeds")
    recorded = json.loads((FIXTURES / "vinext" / "1.4.0" / "reference-responses-worker-seeded.json").read_text())
    lasting = {row.get("path", row["route"]) for row in record.rows if not 0 < (row["revalidate"] or 0) < SHORT_SECONDS}
    compared = {"html": 0, "rsc": 0}
    for reference in recorded["responses"]:
        headers = {name.lower(): value for name, value in reference["headers"]}
        bare = reference["path"].partition("?")[0].removesuffix(".rsc")
        if headers.get("x-vinext-cache") != "HIT" or bare not in lasting:
            continue
        answer = record.worker.visitor.ask(reference["path"], reference["method"], reference["requestHeaders"])
        names = COMPARED + COMPARED_OF_RSC
        assert {name: answer.headers.get(name) for name in names} == {name: headers.get(name) for name in names}, reference[
            "name"
        ]
        assert answer.status == reference["status"]
        is_rsc = headers["content-type"].startswith("text/x-component")
        compared["rsc" if is_rsc else "html"] += 1
        if is_rsc:
            assert answer.headers["x-vinext-rsc-compatibility-id"] == COMPATIBILITY_ID
    assert compared == {"html": 22, "rsc": 12}
