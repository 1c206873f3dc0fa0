"""`vinext-worker stats`: the last hours of a Worker, from a stand-in for Analytics Engine."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.fakes.analytics_sql import Point
from tests.fakes.cloudflare import ACCOUNT
from tests.fakes.deployments import FakeDeployment

from vinext_worker.stats.queries import Queries
from vinext_worker.stats.report import bar, periods

if TYPE_CHECKING:
    from tests.fakes.cloudflare import FakeCloudflare
    from tests.fakes.deployments import CommandLine

BINDING = '[[analytics_engine_datasets]]\nbinding = "VINEXT_ANALYTICS"\ndataset = "pages"'

HOUR = 3600


@pytest.fixture
def config(tmp_path: Path) -> FakeDeployment:
    deployment = FakeDeployment(tmp_path)
    deployment.configure(BINDING)
    return deployment


def point(outcome: str, path: str, *doubles: float, reason: str = "", age_seconds: float = 60, of: int = 1) -> Point:
    """A data point; the doubles are the number of requests it stands for, and how long it took."""
    return Point([outcome, reason, "/blog/*" if path.startswith("/blog/") else path, path], doubles, age_seconds, of)


POINTS = [
    point("hit", "/blog/a", 10, 0, of=3),
    point("stale", "/blog/a", 10, 0),
    point("miss", "/blog/b", 1, 100),
    point("miss", "/blog/b", 1, 900),
    point("miss", "/about", 1, 50, age_seconds=2 * HOUR),
    point("hit", "/about", 1, 0, age_seconds=2 * HOUR),
    point("passed_on", "/mine", 7, 5, reason="answer.no-store"),
    point("hit", "/about", 1, 0, age_seconds=30 * HOUR),
]


def test_each_data_point_counts_for_the_requests_it_stands_for(
    config: FakeDeployment, cloudflare: FakeCloudflare, command_line: CommandLine
) -> None:
    cloudflare.sql.datasets["pages"] = POINTS
    said = command_line.run("stats", "--config", config.config, "--hours", "24", "--json")
    document = said.document
    assert (document["dataset"], document["requests"]) == ("pages", 30 + 10 + 2 + 2 + 7)
    assert document["hitRate"] == pytest.approx((30 + 10 + 1) / 51)
    assert document["routes"][0] == {"route": "/blog/*", "requests": 42, "hitRate": 40 / 42}
    assert document["passedOn"] == [{"reason": "answer.no-store", "requests": 7}]
    assert [(row["path"], row["requests"], row["slowestMs"]) for row in document["slowestMisses"]] == [
        ("/blog/b", 2, 900),
        ("/about", 1, 50),
    ]
    assert len(document["periods"]) == 25
    assert sum(one["requests"] > 0 for one in document["periods"]) == 2
    assert [request[1] for request in cloudflare.requests if "sql" in request[1]] == [
        f"/client/v4/accounts/{ACCOUNT}/analytics_engine/sql"
    ] * 5


def test_a_person_sees_tables_and_a_chart(config: FakeDeployment, cloudflare: FakeCloudflare, command_line: CommandLine) -> None:
    cloudflare.sql.datasets["pages"] = POINTS
    said = command_line.run("stats", "--config", config.config, "--hours", "3")
    assert said.status == 0
    assert said.out.startswith("pages, the last 3 hours: 51 requests, 80.4 % from the cache\n")
    assert "/blog/*\t42\t95.2 %\n" in said.out
    assert "answer.no-store\t7\tno-store\n" in said.out
    assert "█" in said.out


def test_a_dataset_without_recent_points_says_so(
    config: FakeDeployment, cloudflare: FakeCloudflare, command_line: CommandLine
) -> None:
    cloudflare.sql.datasets["pages"] = [point("hit", "/a", 1, 0, age_seconds=30 * HOUR)]
    said = command_line.run("stats", "--config", config.config, "--hours", "2")
    assert (said.status, said.out) == (0, "pages: nobody has requested a page in the last 2 hours\n")


def test_without_a_binding_the_message_says_what_to_add(
    config: FakeDeployment, cloudflare: FakeCloudflare, command_line: CommandLine
) -> None:
    config.configure()
    said = command_line.run("stats", "--config", config.config)
    assert said.status == 1
    assert "wrangler.toml binds no dataset as VINEXT_ANALYTICS" in said.err
    assert not cloudflare.requests


def test_a_dataset_that_is_not_there_yet_is_named(
    config: FakeDeployment, cloudflare: FakeCloudflare, command_line: CommandLine
) -> None:
    cloudflare.sql.datasets["others"] = []
    said = command_line.run("stats", "--config", config.config)
    assert said.status == 1
    assert "the dataset pages is not there yet" in said.err


def test_a_token_that_may_not_ask_is_told_the_permission(
    config: FakeDeployment, cloudflare: FakeCloudflare, command_line: CommandLine
) -> None:
    cloudflare.permissions.discard("analytics")
    said = command_line.run("stats", "--config", config.config)
    assert said.status == 1
    assert "Account Analytics: Read" in said.err


def test_a_query_that_is_refused_is_an_error_in_cloudflare_s_words(
    config: FakeDeployment, cloudflare: FakeCloudflare, command_line: CommandLine
) -> None:
    cloudflare.sql.datasets["pages"] = []
    cloudflare.sql.refusal = "no such function: sumIf"
    said = command_line.run("stats", "--config", config.config)
    assert said.status == 1
    assert "Analytics Engine refused the query with status 422: no such function: sumIf" in said.err


def test_long_times_are_shown_by_day() -> None:
    assert "INTERVAL '1' DAY" in Queries("pages", 24 * 7).by_time
    now = datetime(2026, 11, 29, 12, 30, tzinfo=UTC)
    rows = [{"start": "2026-11-28 00:00:00", "outcome": "hit", "requests": "3"}]
    found = periods(rows, now, 24 * 3, 24)
    assert [(one.start.day, one.requests, one.hit_rate) for one in found] == [
        (26, 0, None),
        (27, 0, None),
        (28, 3, 1),
        (29, 0, None),
    ]


@pytest.mark.parametrize(("share", "shown"), [(None, ""), (0, ""), (1, "█" * 20), (0.5, "█" * 10), (0.001, ""), (0.01, "▎")])
def test_a_bar_is_as_long_as_its_share(share: float | None, shown: str) -> None:
    assert bar(share) == shown


def test_the_documentation_has_the_queries_of_the_command() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()
    queries = Queries("pages", 24)
    for sql in (queries.by_route, queries.slowest_misses, queries.passed_on):
        assert f"```sql\n{sql}\n```" in page
