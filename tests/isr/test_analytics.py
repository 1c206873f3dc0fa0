"""Data points for Analytics Engine."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.pages import FakePages, dynamic, page
from tests.fakes.ports import FakeLog
from tests.fakes.requests import request
from tests.fakes.worker import FakeWorker

from isr.analytics import BLOBS, DOUBLES, Analytics, route_of


@dataclass
class Dataset:
    points: list[dict[str, Any]] = field(default_factory=list)
    failure: Exception | None = None

    def make(self, point: str) -> dict[str, Any]:
        made: dict[str, Any] = json.loads(point)
        return made

    def write(self, point: dict[str, Any]) -> None:
        if self.failure is not None:
            raise self.failure
        self.points.append(point)


@pytest.mark.parametrize(
    ("path", "base_path", "route"),
    [
        ("/", "", "/"),
        ("/about", "", "/about"),
        ("/about/", "", "/about"),
        ("/blog/hello", "", "/blog/*"),
        ("/blog/2026/hello", "", "/blog/*"),
        ("/docs", "/docs", "/docs"),
        ("/docs/", "/docs", "/docs/"),
        ("/docs/about", "/docs", "/docs/about"),
        ("/docs/blog/hello", "/docs", "/docs/blog/*"),
        ("/docs-not/hello", "/docs", "/docs-not/*"),
    ],
)
def test_a_route_is_a_part_of_the_site(path: str, base_path: str, route: str) -> None:
    assert route_of(path, base_path) == route


async def asked(worker: FakeWorker, analytics: Analytics, *urls: str) -> None:
    for url in urls:
        await worker.get(url)
        analytics.answered(request(url), worker.last_answer, 12.4, "shop", worker.site)


async def test_a_data_point_has_what_its_columns_say() -> None:
    dataset, worker = Dataset(), await FakeWorker(pages=FakePages({"/blog/a": page("text"), "/mine": dynamic()})).open()
    await asked(worker, Analytics(dataset, 1, 0, FakeLog()), "/blog/a", "/blog/a", "/mine")
    rows = [dict(zip(BLOBS, point["blobs"], strict=True)) for point in dataset.points]
    assert [(row["outcome"], row["reason"], row["route"], row["path"]) for row in rows] == [
        ("miss", "", "/blog/*", "/blog/a"),
        ("hit", "served.fresh", "/blog/*", "/blog/a"),
        ("passed_on", "answer.no-store", "/mine", "/mine"),
    ]
    assert {(row["host"], row["site"]) for row in rows} == {(request("/").host, "shop")}
    assert dict(zip(DOUBLES, dataset.points[1]["doubles"], strict=True)) == {
        "requests": 1,
        "ms": 12,
        "bytes": 4,
        "status": 200,
    }
    assert [point["indexes"] for point in dataset.points] == [["/blog/*"], ["/blog/*"], ["/mine"]]


def test_the_documentation_names_each_column() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()
    shown = re.findall(r"^\| (`.+`) \| `([a-z]+)`", page, re.MULTILINE)
    columns = {f"blob{number}": name for number, name in enumerate(BLOBS, 1)}
    columns |= {f"double{number}": name for number, name in enumerate(DOUBLES, 1)}
    assert {re.findall("[a-z]+[0-9]+", names)[-1]: name for names, name in shown if re.search("blob|double", names)} == columns


async def test_of_so_many_requests_one_gets_a_data_point_that_says_so() -> None:
    dataset, worker = Dataset(), await FakeWorker().open()
    await asked(worker, Analytics(dataset, 3, 1, FakeLog()), *(f"/{number}" for number in range(9)))
    assert [(point["blobs"][3], point["doubles"][0]) for point in dataset.points] == [("/1", 3), ("/4", 3), ("/7", 3)]


async def test_a_data_point_keeps_to_the_limits() -> None:
    """Source: https://developers.cloudflare.com/analytics/analytics-engine/limits/."""
    dataset, worker = Dataset(), await FakeWorker().open()
    await asked(worker, Analytics(dataset, 1, 0, FakeLog()), f"/{'a' * 4000}")
    (point,) = dataset.points
    assert len(point["indexes"][0].encode()) <= 96
    assert sum(len(blob.encode()) for blob in point["blobs"]) < 16_384
    assert len(point["blobs"]) <= 20
    assert len(point["doubles"]) <= 20


async def test_a_dataset_that_fails_is_a_line_in_the_log() -> None:
    dataset, log, worker = Dataset(failure=TypeError("too many")), FakeLog(), await FakeWorker().open()
    await asked(worker, Analytics(dataset, 1, 0, log), "/a")
    assert log.lines == [("error", "analytics.failed", {"error": "TypeError: too many"})]
