"""The lines of the Worker that ran in workerd are counted where an environment variable asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.workerd.coverage_report import SOURCE, lines_that_ran, report
from tests.workerd.stubs import pages_service
from tests.workerd.visitor import Visitor

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from vinext_worker.project import Project


def line_of(path: Path, text: str) -> int:
    return next(number for number, line in enumerate(path.read_text().splitlines(), 1) if text in line)


def test_each_isolate_writes_the_lines_that_ran_in_it(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VINEXT_WORKER_COVERAGE", str(tmp_path / "lines"))
    options = RuntimeOptions(
        config=WranglerConfig.read(project.configuration),
        tools=project.tools,
        services={"PAGES": pages_service()},
        assets_directory=tmp_path,
        isolates=2,
    )
    with LocalRuntime(options) as runtime:
        assert Visitor(runtime.urls[1]).ask("/page").status == 200
    assert len(list((tmp_path / "lines").iterdir())) == 2
    loop = SOURCE / "edge" / "loop.py"
    ran = lines_that_ran(tmp_path / "lines")[str(loop)]
    assert line_of(loop, "async def enter_site_code") in ran
    assert line_of(loop, "fulfilled.resolve(") in ran
    assert line_of(loop, "_is_site_code.set(True)") not in ran
    assert 0 < report(tmp_path / "lines") < 100
    assert "src/edge/python/websocket.py" in capsys.readouterr().out


def test_nothing_is_written_where_nobody_asks(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VINEXT_WORKER_COVERAGE", raising=False)
    options = RuntimeOptions(
        config=WranglerConfig.read(project.configuration),
        tools=project.tools,
        without=frozenset({"PAGES", "ASSETS"}),
    )
    with LocalRuntime(options) as runtime:
        assert runtime.control().ask("lines") == {}
