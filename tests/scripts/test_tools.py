"""The tools are those of the project where they are new enough, else they are installed once."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from vinext_worker import tools as tools_module
from vinext_worker.errors import ToolError
from vinext_worker.installation import Installation
from vinext_worker.tools import Tools

PINNED = {"miniflare": "4.1.0", "pyodide": "314.0.6", "workerd": "1.5.0", "wrangler": "4.2.0"}
# Installs what package.json names, as npm does, and counts the runs.
NPM = """#!/bin/sh
echo run >> "$(dirname "$0")/runs"
for name in miniflare pyodide workerd wrangler; do
  /bin/mkdir -p node_modules/$name && echo '{"version": "9.0.0"}' > node_modules/$name/package.json
done
"""


def install(folder: Path, packages: dict[str, str]) -> Path:
    modules = folder / "node_modules"
    for name, version in packages.items():
        (modules / name).mkdir(parents=True)
        (modules / name / "package.json").write_text(json.dumps({"version": version}))
    return modules


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """A command that was installed from its wheel."""
    folder = tmp_path / "installed" / "npm"
    folder.mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"devDependencies": PINNED}))
    (folder / "package-lock.json").write_text("{}")
    return Installation(folder, folder.parent)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with npm; its programs are in the folder that is returned."""
    programs = tmp_path / "bin"
    program(programs / "npm", NPM)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("VINEXT_WORKER_TOOLS", raising=False)
    return programs


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "work space" / "apps" / "site"
    folder.mkdir(parents=True)
    return folder


def runs(machine: Path) -> int:
    file = machine / "runs"
    return len(file.read_text().splitlines()) if file.is_file() else 0


@pytest.mark.parametrize("above", [0, 2], ids=["in the project", "two levels above, as in a workspace"])
def test_the_project_s_own_tools_are_used(project: Path, machine: Path, installation: Installation, above: int) -> None:
    modules = install([project, *project.parents][above], PINNED)
    tools = Tools(project, installation)
    assert (tools.node_modules, tools.wrangler) == (modules, modules / "wrangler" / "bin" / "wrangler.js")
    assert runs(machine) == 0


def test_what_would_be_installed_is_known_without_an_installation(
    project: Path, machine: Path, installation: Installation, tmp_path: Path
) -> None:
    tools = Tools(project, installation)
    assert tools.workerd_version == PINNED["workerd"]
    place = tools.folder_to_fill()
    assert place is not None
    assert place.is_relative_to(tmp_path / "cache" / "vinext-worker")
    assert runs(machine) == 0
    assert tools.node_modules == place / "node_modules"
    assert tools.folder_to_fill() is None
    install(project, {**PINNED, "workerd": "1.6.0"})
    own = Tools(project, installation)
    assert (own.workerd_version, own.folder_to_fill()) == ("1.6.0", None)


def test_tools_that_are_missing_are_installed_once_and_said(
    project: Path, machine: Path, installation: Installation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        modules = Tools(project, installation).node_modules
        assert modules.is_relative_to(tmp_path / "cache" / "vinext-worker")
    assert runs(machine) == 1
    said = capsys.readouterr().err
    assert said.count("installing the local Workers runtime and wrangler from npm (about 470 MB)") == 1
    assert list(project.iterdir()) == []
    assert sorted(path.name for path in installation.npm_tools.iterdir()) == ["package-lock.json", "package.json"]


@pytest.mark.parametrize("packages", [{"workerd": "1.4.9"}, {"pyodide": "0.29.0"}], ids=str)
def test_older_tools_of_a_project_are_left_alone(
    project: Path, machine: Path, installation: Installation, packages: dict[str, str]
) -> None:
    modules = install(project, {**PINNED, **packages})
    tools = Tools(project, installation)
    assert tools.node_modules != modules
    # wrangler is by itself: the project's is the one that its team has chosen.
    assert tools.wrangler.is_relative_to(modules)


def test_a_folder_of_tools_can_be_named(
    project: Path, machine: Path, installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(project, PINNED)
    monkeypatch.setenv("VINEXT_WORKER_TOOLS", str(tmp_path / "named"))
    assert Tools(project, installation).node_modules == tmp_path / "named" / "node_modules"
    assert runs(machine) == 1


def test_an_installation_that_fails_leaves_nothing_behind(
    project: Path, machine: Path, installation: Installation, tmp_path: Path
) -> None:
    program(machine / "npm", "#!/bin/sh\n/bin/mkdir -p node_modules/miniflare\necho 'the registry is away'; exit 7")
    with pytest.raises(ToolError, match=r"(?s)check the network and npm's registry.*the registry is away"):
        _ = Tools(project, installation).node_modules
    assert [path.suffix for path in (tmp_path / "cache" / "vinext-worker").iterdir()] == [".lock"]
    program(machine / "npm", NPM)
    assert Tools(project, installation).node_modules.is_dir()


def test_a_cache_folder_that_cannot_be_written_is_named(
    project: Path, machine: Path, installation: Installation, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(ToolError, match="name another folder in VINEXT_WORKER_TOOLS"):
        _ = Tools(project, installation).node_modules


@pytest.mark.parametrize(
    ("system", "message"),
    [
        pytest.param(None, "Node.js was not found; install Node.js 22 or newer", id="none"),
        pytest.param("echo v20.1.0", "Node.js 22 or newer is needed, but .* is older", id="old"),
        pytest.param("exit 3", "does not run", id="broken"),
    ],
)
def test_a_machine_without_a_pinned_node_needs_its_own(  # noqa: PLR0913, PLR0917 - its fixtures
    project: Path, machine: Path, installation: Installation, monkeypatch: pytest.MonkeyPatch, system: str | None, message: str
) -> None:
    install(project, PINNED)
    monkeypatch.setattr(tools_module, "_NODE_PACKAGES", {})
    monkeypatch.setenv("PATH", str(machine))
    if system is not None:
        program(machine / "node", f"#!/bin/sh\n{system}\n")
    with pytest.raises(ToolError, match=message):
        _ = Tools(project, installation).node


def test_the_system_s_node_is_used_if_it_is_new_enough(project: Path, machine: Path, installation: Installation) -> None:
    node = program(machine / "node", "#!/bin/sh\necho v24.0.0")
    assert Tools(project, installation).node == node
    assert runs(machine) == 0


def test_the_pinned_node_is_new_enough() -> None:
    node = Tools(Path(__file__).parent).node
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    assert version.startswith("v22.")
