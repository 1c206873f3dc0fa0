"""Prints every difference of the apps that are named, or of all, the same ones together; needs ./scripts/setup.

PYTHONPATH=src:scripts:. .venv/bin/python -m tests.differential [--accepted] [APP…]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.differential.data_server import DataServer
from tests.differential.report import app_names, run_app
from tests.differential.sides import ALONE

from vinext_worker.checkout import Checkout

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.differential.compare import Difference
    from tests.differential.report import AppReport


def main() -> None:
    names = [name for name in sys.argv[1:] if name != "--accepted"] or app_names()
    project = Checkout.find()
    with DataServer().started() as data:
        for app in names:
            start = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                report = run_app(project, app, data, Path(folder))
            explained = {row: [each for each, its in report.explained if its is row] for _, row in report.explained}
            counts = f"{len(report.unexplained)} differences, {len(report.explained)} explained"
            slow = ", too slow for its periods" if report.is_late else ""
            print(f"== {app}: {counts}, {time.monotonic() - start:.0f} s{slow}\n{_first_bytes(report)}")
            print("\n".join([_grouped(report.unexplained), *(f"  {each}" for each in report.believed)]))
            if "--accepted" in sys.argv:
                for row, found in explained.items():
                    print(f"-- {row.why}\n{_grouped(found)}")


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


main()
