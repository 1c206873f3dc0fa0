from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from vinext_worker.errors import UserError
from vinext_worker.main import cli
from vinext_worker.prerender import command as prerender_command
from vinext_worker.prerender.run import PrerenderReport

if TYPE_CHECKING:
    from pathlib import Path

    from vinext_worker.sites.python_project import PythonProject

WRANGLER = 'name = "a"\nmain = "src/entry.py"\ncompatibility_date = "2026-10-01"\n'


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "entry.py").write_text("")
    (tmp_path / "wrangler.toml").write_text(WRANGLER)
    return tmp_path


def test_pages_that_failed_end_it_with_1(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = PrerenderReport("b1", 2, (("/a", "no period"),), (("/b", "status 500"),))
    monkeypatch.setattr(prerender_command, "run_prerender", lambda *_: report)
    done = CliRunner().invoke(cli, ["prerender", str(site)])
    assert done.exit_code == 1
    assert [line.strip() for line in done.output.splitlines()] == [
        "build b1: 2 pages rendered",
        "skipped: 1",
        "/a: no period",
        "failed: 1",
        "/b: status 500",
    ]
    document = json.loads(CliRunner().invoke(cli, ["prerender", str(site), "--json"]).stdout)
    assert document["failed"] == [{"path": "/b", "reason": "status 500"}]


def test_it_renders_with_the_variables_of_the_environment_that_is_deployed(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered_with: list[PythonProject] = []

    def rendered(project: PythonProject, *_: object) -> PrerenderReport:
        rendered_with.append(project)
        return PrerenderReport("b1", 0, (), ())

    monkeypatch.setattr(prerender_command, "run_prerender", rendered)
    (site / "other.toml").write_text(f"{WRANGLER}[env.staging.vars]\nAPI = 'https://staging'\n")
    (site / ".dev.vars").write_text("API=http://localhost\nKEY=secret\n")
    options = ["--config", str(site / "other.toml"), "--env", "staging"]
    for arguments in ([str(site), *options], options):
        done = CliRunner().invoke(cli, ["prerender", *arguments], catch_exceptions=False)
        assert done.output.startswith("rendering with KEY of .dev.vars, in place of the deployed Worker's secrets\n")
        assert rendered_with.pop().config.variables == {"API": "https://staging", "KEY": "secret"}


def test_a_configuration_of_another_folder_is_refused(site: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other") / "wrangler.toml"
    other.write_text(WRANGLER)
    done = CliRunner().invoke(cli, ["prerender", str(site), "--config", str(other)])
    assert isinstance(done.exception, UserError)
    assert f"{other} is not the configuration of {site}" in str(done.exception)


def test_a_file_with_a_line_that_is_no_path_is_refused(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prerender_command, "install_python_packages", lambda *_: None)
    (site / "paths.txt").write_text("/a\nb\n")
    done = CliRunner().invoke(cli, ["prerender", str(site), "--paths", str(site / "paths.txt")])
    assert isinstance(done.exception, UserError)
    assert "'b' is no path" in str(done.exception)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        pytest.param(b"/\xff\n", "paths.txt cannot be read ('utf-8' codec can't decode", id="not UTF-8"),
        pytest.param(b"\xef\xbb\xbf/a\nb\n", "'b' is no path", id="a byte order mark"),
    ],
)
def test_a_file_of_paths_may_be_in_another_encoding(
    site: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, error: str
) -> None:
    monkeypatch.setattr(prerender_command, "install_python_packages", lambda *_: None)
    (site / "paths.txt").write_bytes(content)
    done = CliRunner().invoke(cli, ["prerender", str(site), "--paths", str(site / "paths.txt")])
    assert isinstance(done.exception, UserError)
    assert error in str(done.exception)
