"""A cache handler of one's own and its test, as docs/own-cache-handlers.md has them: with pytest and the wheel alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.fakes.own_cache_page import EXAMPLE, EXAMPLES_TEST

from vinext.testing import RULES

if TYPE_CHECKING:
    from pathlib import Path


def run(folder: Path, library: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--disable-plugin-autoload", *arguments, "."]
    environment = {**os.environ, "PYTHONPATH": f"{library}{os.pathsep}{folder}", "PYTEST_ADDOPTS": ""}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False).stdout


def test_the_page_s_handler_obeys_every_rule_and_a_broken_one_does_not(library: Path, tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "own_cache.py").write_text(EXAMPLE)
    (tmp_path / "test_own_cache.py").write_text(EXAMPLES_TEST)
    said = run(tmp_path, library)
    assert f"{len(RULES)} passed" in said, said
    alone = re.sub(r"return TieredCacheHandler\(.*", "return database", EXAMPLE)
    (tmp_path / "own_cache.py").write_text(alone.replace("INSERT OR REPLACE", "INSERT OR IGNORE"))
    assert "FAILED test_own_cache.py::test_the_handler_obeys[the_last_write_wins]" in run(tmp_path, library, "-k", "last_write")
