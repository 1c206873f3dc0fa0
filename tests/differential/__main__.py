"""Prints every difference of the apps that are named, or of all."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.differential.data_server import DataServer
from tests.differential.report import app_names, run_app

from vinext_worker.checkout import Checkout


def main() -> None:
    project = Checkout.find()
    with DataServer().started() as data:
        for app in sys.argv[1:] or app_names():
            start = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                report = run_app(project, app, data, Path(folder))
            print(f"== {app}: {time.monotonic() - start:.1f} s, late {report.is_late}")
            stores = {}
            for d in report.unexplained:
                stores.setdefault(str(d).replace(f"[{d.store}] ", "", 1), []).append(d.store)
            for text, names in stores.items():
                print(f"[{'+'.join(names)}]", text)


main()
