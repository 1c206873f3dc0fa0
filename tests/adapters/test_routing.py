from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from seed.routing import ROUTING_NAME, read_routing
from seed.rules import STAGES_VERSION

if TYPE_CHECKING:
    from vinext_worker.project import Project
    from vinext_worker.sites.site_build import SiteBuild

TESTS = Path(__file__).with_name("routing.test.mjs")


def test_the_rules_of_an_app_are_written_down(project: Project, example: SiteBuild) -> None:
    """With vinext's own reader of next.config, and Vite's own parser."""
    command = [str(project.tools.node), "--test", "--test-reporter=tap", str(TESTS)]
    environment = {**os.environ, "VINEXT_APP": str(example.root)}
    finished = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "# pass 0" not in finished.stdout


def test_a_real_build_writes_them_beside_its_manifest(example: SiteBuild) -> None:
    manifest = json.loads(example.manifest.read_bytes())
    routing = read_routing(example.manifest.parent, manifest["buildId"])
    assert (example.manifest.parent / ROUTING_NAME).is_file()
    assert routing is not None
    assert (routing.rules, routing.header_set_numbers, routing.stages) == ((), {}, STAGES_VERSION)
