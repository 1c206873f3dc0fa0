from __future__ import annotations

from pathlib import Path

from tests.adapters.test_adapter import node

from vinext_worker.project import Project


def test_bytecode_is_kept_by_source_and_within_a_limit() -> None:
    tests = str(Path(__file__).with_name("bytecode.test.mjs"))
    finished = node(Project.find(), "--test", "--test-reporter=tap", tests)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "# pass 3" in finished.stdout
