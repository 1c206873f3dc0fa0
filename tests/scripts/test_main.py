"""The command line: every error is one line that says what to do."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vinext_worker import main
from vinext_worker.alone import alone_in, builds_alone
from vinext_worker.dev import command as dev
from vinext_worker.dev.wrangler import in_environment
from vinext_worker.errors import UserError
from vinext_worker.project import Project

if TYPE_CHECKING:
    from tests.fakes.deployments import CommandLine

FIXTURE = Path(__file__).parents[1] / "fixtures" / "runtime"
SITE = ("--site", str(Path(__file__).parents[2] / "examples" / "vinext"))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["vinext-worker", *arguments])
    with pytest.raises(SystemExit) as ended:
        main.main()
    return int(ended.value.code or 0)


def test_help_names_the_commands(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--help") == 0
    assert "dev" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["dev", "--site", "/nowhere"], "'/nowhere' does not exist", id="no such site"),
        pytest.param(["dev", "--open", "--runtime", "wrangler"], "--open needs the embedded runtime", id="open"),
        pytest.param(["dev", "--port", "70000"], "70000 is not in the range", id="port"),
        pytest.param(["dev", "--cache", "disk"], "'disk' is not one of 'kv', 'memory'", id="cache"),
        pytest.param(["dev", "--", "--x"], "need --runtime wrangler", id="arguments for wrangler"),
        pytest.param(
            ["dev", "--runtime", "wrangler", "--cache", "memory"], "needs the embedded runtime", id="memory in wrangler"
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(monkeypatch, *arguments) == 2
    assert message in capsys.readouterr().err


def test_an_error_is_one_line_and_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> Path:
        raise UserError("what was wrong; what to do")

    monkeypatch.setattr(dev, "prepare_vinext_site", fail)
    assert run(monkeypatch, "dev", *SITE, "--port", "0") == 1
    assert capsys.readouterr().err == "vinext-worker: what was wrong; what to do\n"


def test_a_taken_port_is_one_line_before_anything_is_built(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dev, "prepare_vinext_site", lambda *_: pytest.fail("it was prepared"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert run(monkeypatch, "dev", *SITE, "--port", str(port)) == 1
    error = capsys.readouterr().err
    assert re.fullmatch(rf"vinext-worker: port {port} on 127\.0\.0\.1 cannot be used \(.*\); .* --port\n", error)


def test_a_second_one_in_the_same_project_is_refused_before_it_touches_anything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def second(*_: object) -> Path:
        monkeypatch.setattr(dev, "prepare_vinext_site", lambda *_: pytest.fail("it was prepared"))
        assert run(monkeypatch, "dev", *SITE, "--port", "0") == 1
        raise UserError("enough")

    monkeypatch.setattr(dev, "prepare_vinext_site", second)
    assert run(monkeypatch, "dev", *SITE, "--port", "0") == 1
    first_line, _ = capsys.readouterr().err.splitlines()
    folder = re.escape(str(Project.find().local))
    assert re.fullmatch(
        rf"vinext-worker: another vinext-worker \(process {os.getpid()}\) is using {folder}; stop it, .*", first_line
    )


@pytest.mark.parametrize("command", ["copy", "deploy", "prerender"])
def test_what_builds_is_refused_while_another_builds_and_not_while_dev_serves(
    command: str, command_line: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "entry.py").write_text("")
    (tmp_path / "wrangler.toml").write_text(
        'name = "a"\nmain = "src/entry.py"\ncompatibility_date = "2026-10-01"\n'
        '[assets]\ndirectory = "assets"\nbinding = "ASSETS"\n'
    )
    folder = tmp_path / ".vinext"
    with builds_alone(folder):
        said = command_line.run(command, tmp_path)
    words = f"another vinext-worker (process {os.getpid()}) is building or deploying {tmp_path}; let it end, then run this again"
    assert (said.status, said.err) == (1, f"vinext-worker: {words}\n")
    with alone_in(folder):
        assert "another vinext-worker" not in command_line.run(command, tmp_path).err


def test_wrangler_gets_both_configurations(monkeypatch: pytest.MonkeyPatch) -> None:
    def become(_program: object, command: list[str]) -> None:
        raise SystemExit(" ".join(command))

    monkeypatch.setattr(os, "execv", become)
    monkeypatch.setattr(dev, "prepare_vinext_site", lambda *_: FIXTURE / "wrangler.toml")
    monkeypatch.setattr(sys, "argv", ["vinext-worker", "dev", *SITE, "--runtime", "wrangler", "--", "--log-level", "debug"])
    with pytest.raises(SystemExit) as ended:
        main.main()
    root = Project.find().root
    own = f"--assets {root}/.vinext/dev/assets --port 8787"
    assert f"wrangler.js dev -c {root}/wrangler.toml -c {FIXTURE}/wrangler.toml {own}" in str(ended.value.code)
    assert str(ended.value.code).endswith("--log-level debug")


def test_wrangler_gets_the_environment_and_the_build_for_it(
    monkeypatch: pytest.MonkeyPatch, command_line: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "wrangler.toml").write_text(
        'name = "shop"\nmain = "src/entry.py"\ncompatibility_date = "2026-10-01"\n[env.staging]\nvars = {}\n'
    )
    built = tmp_path / "dist" / "wrangler.json"
    built.parent.mkdir()
    built.write_text('{"name": "shop-app-staging", "compatibility_date": "2026-10-01"}')
    command_line.set({"CLOUDFLARE_ENV": ""})

    def build(*_: object) -> Path:
        assert os.environ["CLOUDFLARE_ENV"] == "staging"
        return built

    def become(_program: object, command: list[str]) -> None:
        raise SystemExit(" ".join(command))

    monkeypatch.setattr(os, "execv", become)
    monkeypatch.setattr(dev, "prepare_vinext_site", build)
    arguments = ["dev", *SITE, "--config", str(tmp_path / "wrangler.toml"), "--env", "staging", "--runtime", "wrangler"]
    monkeypatch.setattr(sys, "argv", ["vinext-worker", *arguments])
    with pytest.raises(SystemExit) as ended:
        main.main()
    configurations = f"-c {tmp_path}/wrangler.toml -c {tmp_path}/dist/wrangler.dev.json"
    assert f"wrangler.js dev {configurations} --env staging --assets" in str(ended.value.code)


def test_wrangler_takes_the_built_worker_by_its_name_in_any_environment(tmp_path: Path) -> None:
    built = {
        "name": "shop-app-staging",
        "main": "index.js",
        "compatibility_date": "2026-10-01",
        "targetEnvironment": "staging",
        "vars": {"COLOUR": "blue"},
        "ratelimits": [{"name": "LIMIT", "namespace_id": "1", "simple": {"limit": 1, "period": 60}}],
    }
    (tmp_path / "index.js").write_text("export default {}")
    (tmp_path / "wrangler.json").write_text(json.dumps(built))
    file = in_environment(tmp_path / "wrangler.json", "staging")
    tools = Project.find().tools
    program = (
        f"const {{ unstable_readConfig }} = require({json.dumps(str(tools.node_modules / 'wrangler'))});"
        f"const read = unstable_readConfig({{ config: {json.dumps(str(file))}, env: 'staging' }});"
        "console.log(JSON.stringify([read.name, read.vars, read.ratelimits.length, read.main]));"
    )
    done = subprocess.run([tools.node, "-e", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["shop-app-staging", {"COLOUR": "blue"}, 1, str(tmp_path / "index.js")]
    assert done.stderr == ""


def test_a_folder_that_cannot_be_written_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "entry.py").write_text("")
    (tmp_path / "wrangler.toml").write_text('name = "a"\nmain = "src/entry.py"\ncompatibility_date = "2026-10-01"\n')
    (tmp_path / ".vinext").write_text("a file in the way")
    assert run(monkeypatch, "dev", "--site", str(tmp_path)) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"vinext-worker: {tmp_path / '.vinext'} cannot be written (")
    assert error.count("\n") == 1


def test_a_file_that_may_not_be_read_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def forbidden(*_: object) -> Path:
        raise PermissionError(13, "Permission denied", str(tmp_path / "a.py"))

    monkeypatch.setattr(dev, "prepare_vinext_site", forbidden)
    assert run(monkeypatch, "dev", *SITE, "--port", "0") == 1
    said = f"vinext-worker: {tmp_path / 'a.py'} cannot be read or written (Permission denied); change its permissions\n"
    assert capsys.readouterr().err == said


def test_a_folder_that_is_gone_is_one_line(tmp_path: Path) -> None:
    command = f'cd "$0" && rmdir "$0" && {sys.executable} -m vinext_worker why /'
    folder = tmp_path / "gone"
    folder.mkdir()
    done = subprocess.run(["sh", "-c", command, str(folder)], capture_output=True, text=True, check=False)
    said = "vinext-worker: the current folder is gone (No such file or directory); change to another one\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_a_terminal_of_another_encoding_gets_what_it_can_show(tmp_path: Path) -> None:
    site = tmp_path / "caf\u00e9 \u2026"
    site.mkdir()
    command = [sys.executable, "-m", "vinext_worker", "init", "--template", "python", str(site), "--yes"]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command, env=environment, capture_output=True, encoding="latin-1", check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"cd '{tmp_path}/caf\u00e9 ?' &&" in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_can_complete_commands(
    shell: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "completion", shell) == 0
    assert "_VINEXT_WORKER_COMPLETE" in capsys.readouterr().out


def test_windows_is_told_to_use_wsl() -> None:
    program = "import sys; sys.platform = 'win32'; import vinext_worker.main"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"vinext-worker: .* use WSL .*\n", done.stderr)
