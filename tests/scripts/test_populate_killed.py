"""Killing a run, at any point, loses nothing and repeats no more than what was under way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from tests.fakes.cloudflare import FakeCloudflare
from tests.fakes.deployments import FakeDeployment

if TYPE_CHECKING:
    from pathlib import Path

ENTRIES = 3_000
BATCH = 100
IN_FLIGHT = 4
KILLS = 4


def test_killed_at_some_points_and_run_again(tmp_path: Path) -> None:
    deployment = FakeDeployment.of_pages(tmp_path, {f"/p/{number}": b"one page" for number in range(ENTRIES)})
    command = [sys.executable, "-m", "vinext_worker", "populate", "--json", "--batch-entries", str(BATCH)]
    command += ["--config", str(deployment.config)]
    with FakeCloudflare() as cloudflare:
        environment = os.environ | cloudflare.environment()
        for kill in range(1, KILLS + 1):
            # Most are killed before the first answer, some later; always while batches are under way.
            enough, killed = threading.Event(), threading.Event()
            points = 10 if kill % 4 == 0 else 1

            def count(
                number: int,
                end: int = len(cloudflare.bulk_sizes) + points,
                enough: threading.Event = enough,
                killed: threading.Event = killed,
            ) -> None:
                if number >= end:
                    enough.set()
                    killed.wait(120)  # nothing more is answered, so the run cannot end before

            cloudflare.before_answer = count
            with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
                is_under_way = enough.wait(120)
                process.kill()
                ended = process.wait()
                killed.set()
            assert (is_under_way, ended) == (True, -signal.SIGKILL)
        cloudflare.wait_until_left()
        before_last = sum(cloudflare.writes.values())
        cloudflare.before_answer = lambda _number: None
        finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert finished.returncode == 0, finished.stderr
        report = json.loads(finished.stdout)
        assert report["complete"]
        assert report["written"] + report["unchanged"] == ENTRIES
        assert report["unchanged"] > 0
        assert sum(cloudflare.writes.values()) == before_last + report["written"]
        assert len(cloudflare.stored) == ENTRIES
        repeated = sum(cloudflare.writes.values()) - ENTRIES
        assert repeated <= KILLS * IN_FLIGHT * BATCH
        assert max(cloudflare.writes.values()) <= KILLS
