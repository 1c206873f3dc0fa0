"""Runs an app on all sides and sorts what differs."""

from __future__ import annotations

import importlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.differential.attacks import attack
from tests.differential.builds import APPS, build_twice
from tests.differential.compare import differences
from tests.differential.observe import observe
from tests.differential.sides import ALONE, Deployment
from tests.differential.table import ACCEPTED, KNOWN_FAULTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.differential.attacks import Believed
    from tests.differential.compare import Difference, Row
    from tests.differential.data_server import DataServer
    from tests.differential.observe import Observation
    from tests.differential.script import Script

    from vinext_worker.project import Project


def app_names() -> list[str]:
    """The apps that have a script."""
    return sorted(path.parent.name for path in APPS.glob("*/requests.py"))


def script_of(app: str) -> Script:
    script: Script = importlib.import_module(f"tests.differential.apps.{app}.requests").SCRIPT
    return script


@dataclass(frozen=True)
class AppReport:
    """What an app's run has shown."""

    app: str
    seen: Mapping[str, Mapping[str, list[Observation]]]
    """Side to visit to answers."""
    unexplained: list[Difference] = field(default_factory=list)
    explained: list[tuple[Difference, Row]] = field(default_factory=list)
    believed: list[Believed] = field(default_factory=list)

    @property
    def idle(self) -> list[Row]:
        """The rows that name this app, and are like nothing that was seen."""
        seen = {row for _, row in self.explained}
        return [row for row in (*ACCEPTED, *KNOWN_FAULTS) if self.app in row.apps and row not in seen]

    @property
    def is_surprising(self) -> bool:
        """Whether the run is not as the table says."""
        return bool(self.unexplained or self.idle)

    @property
    def is_late(self) -> bool:
        """Whether the machine was too slow for the periods of the app's pages, so that differences may be of time alone."""
        return any(each.is_late for visits in self.seen.values() for visit in visits.values() for each in visit)


def run_app(project: Project, app: str, data: DataServer, folder: Path) -> AppReport:
    """Build an app both ways, ask all sides the same, and compare."""
    script = script_of(app)
    deployment = Deployment(project, app, build_twice(project, app), script.variables, data, folder)
    with deployment.all_sides() as sides:
        with ThreadPoolExecutor(len(sides)) as threads:
            seen = dict(zip(sides, threads.map(lambda side: observe(side, script), sides.values()), strict=True))
        believed = [each for name, side in sides.items() if name != ALONE for each in attack(side, script)]
    report = AppReport(app, seen, believed=believed)
    for store in (name for name in sides if name != ALONE):
        for difference in differences(app, store, seen[ALONE], seen[store]):
            row = next((row for row in (*ACCEPTED, *KNOWN_FAULTS) if row.matches(difference)), None)
            if row is None:
                report.unexplained.append(difference)
            else:
                report.explained.append((difference, row))
    return report
