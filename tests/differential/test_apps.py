"""Apps behind this Worker answer as they do alone, but for what the table says.

Some of the apps: all of them take minutes. VINEXT_WORKER_EVERY_APP=1 runs all.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.differential.report import app_names, script_of
from tests.differential.table import ACCEPTED, KNOWN_CLAIMS, KNOWN_FAULTS

if TYPE_CHECKING:
    from tests.differential.conftest import Runs

SOME = ["auth", "before_the_cache", "own_entry", "pages_and_app", "streaming"]
APPS = app_names() if os.environ.get("VINEXT_WORKER_EVERY_APP") else SOME


@pytest.mark.parametrize("app", APPS)
def test_an_app_answers_as_it_does_alone(runs: Runs, app: str) -> None:
    report = runs.report(app)
    assert not report.unexplained, "\n".join(["differences that no row of the table has:", *map(str, report.unexplained)])


@pytest.mark.parametrize("app", APPS)
def test_a_row_that_names_an_app_was_seen_there(runs: Runs, app: str) -> None:
    report = runs.report(app)
    assert not report.idle, (
        f"no answer of {app} differs like that any more; remove it from the table: {[row.why for row in report.idle]}"
    )


@pytest.mark.parametrize("app", [app for app in APPS if script_of(app).attacked])
def test_nobody_believes_what_a_visitor_claims(runs: Runs, app: str) -> None:
    believed = runs.report(app).believed
    surprising = [each for each in believed if (app, each.claim) not in KNOWN_CLAIMS]
    assert not surprising, "\n".join(map(str, surprising))
    idle = {claim for name, claim in KNOWN_CLAIMS if name == app} - {each.claim for each in believed}
    assert not idle, f"nobody believes any more that {', '.join(idle)}; remove it from KNOWN_CLAIMS"


def test_every_other_row_was_seen(runs: Runs) -> None:
    if set(runs.apps) != set(app_names()):
        pytest.skip("not every app was run")
    seen = {row for app in runs.apps for _, row in runs.report(app).explained}
    idle = [row for row in (*ACCEPTED, *KNOWN_FAULTS) if not row.apps and row not in seen]
    assert not idle, f"no answer differs like that any more; remove it from the table: {[row.why for row in idle]}"
