"""Prints every difference of the apps that are named, or of all, the same ones together; needs ./scripts/setup.

PYTHONPATH=src:scripts:. .venv/bin/python -m tests.differential [--accepted] [APP…]
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from tests.differential.data_server import DataServer
from tests.differential.report import app_names, run_app
from tests.differential.sides import ALONE

from vinext_worker.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.differential.compare import Difference
    from tests.differential.report import AppReport


@click.command
@click.option("--accepted", is_flag=True, help="Print the differences that the table explains too.")
@click.argument("apps", nargs=-1, type=click.Choice(app_names()))
def main(apps: tuple[str, ...], *, accepted: bool) -> None:
    """Ask APPS (by default all) the same alone and behind this Worker, and print what differs."""
    project = Project.find()
    with DataServer().started() as data:
        for app in apps or app_names():
            start = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                report = run_app(project, app, data, Path(folder))
            explained = {row: [each for each, its in report.explained if its is row] for _, row in report.explained}
            counts = f"{len(report.unexplained)} differences, {len(report.explained)} explained"
            slow = ", too slow for its periods" if report.is_late else ""
            click.echo(f"== {app}: {counts}, {time.monotonic() - start:.0f} s{slow}\n{_first_bytes(report)}")
            click.echo("\n".join([_grouped(report.unexplained), *(f"  {each}" for each in report.believed)]))
            if accepted:
                for row, found in explained.items():
                    click.echo(f"-- {row.why}\n{_grouped(found)}")


def _grouped(differences: Iterable[Difference]) -> str:
    """Each kind of difference once, with the requests where it was seen, and with which stores."""
    places: dict[str, dict[str, list[str]]] = {}
    for each in differences:
        requests = places.setdefault(each.what, {})
        requests.setdefault(f"{each.visit} {each.step}: {each.ask.name}", []).append(each.store)
    return "\n".join(
        f"  {what}\n" + "\n".join(f"      [{'+'.join(stores)}] {where}" for where, stores in requests.items())
        for what, requests in places.items()
    )


def _first_bytes(report: AppReport) -> str:
    """When the first byte of each slow answer came, alone and behind the Worker."""
    lines = []
    for visit, observations in report.seen[ALONE].items():
        for step, alone in enumerate(observations):
            if "streams" in alone.traits:
                ours = (f"{store} {visits[visit][step].first_byte_ms:.0f}" for store, visits in report.seen.items())
                lines.append(f"  first byte in ms, {alone.ask.name}: {', '.join(ours)}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
