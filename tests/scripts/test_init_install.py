"""Which package manager a project uses, and what happens if it fails."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from tests.fakes.projects import write_project

from vinext_worker.errors import UserError
from vinext_worker.init.install import install_packages
from vinext_worker.sites.package_manager import package_manager

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "manager"),
    [("package-lock.json", "npm"), ("pnpm-workspace.yaml", "pnpm"), ("yarn.lock", "yarn"), ("bun.lock", "bun")],
)
def test_the_lock_file_further_up_tells_the_package_manager(tmp_path: Path, name: str, manager: str) -> None:
    write_project(tmp_path, {name: "", "apps/web/package.json": "{}"})
    assert package_manager(tmp_path / "apps" / "web") == manager


def test_package_json_may_name_the_package_manager(tmp_path: Path) -> None:
    write_project(tmp_path, {"package.json": '{"packageManager": "pnpm@10.0.0"}', "apps/web/package.json": "{}"})
    assert package_manager(tmp_path / "apps" / "web") == "pnpm"


def test_a_lock_file_outside_the_repository_tells_nothing(tmp_path: Path) -> None:
    write_project(tmp_path, {"yarn.lock": "", "repository/.git/HEAD": "", "repository/package.json": "{}"})
    assert package_manager(tmp_path / "repository") == "npm"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def write_program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("manager", "lock", "arguments"),
    [
        ("npm", "package-lock.json", "install --no-audit --no-fund"),
        ("pnpm", "pnpm-lock.yaml", "install --config.strict-dep-builds=false"),
        ("yarn", "yarn.lock", "install"),
    ],
)
def test_the_packages_are_installed_in_the_projects_folder(
    tmp_path: Path, programs: Path, manager: str, lock: str, arguments: str
) -> None:
    write_program(programs, manager, 'echo "$*" > called; echo "$PATH" > path')
    site = write_project(tmp_path / "a site", {"package.json": "{}", lock: ""})
    install_packages(site, tmp_path / "node 22" / "bin" / "node")
    assert (site / "called").read_text() == f"{arguments}\n"
    assert (site / "path").read_text().startswith(f"{tmp_path}/node 22/bin:")


def test_a_failure_says_what_is_left_to_do(tmp_path: Path, programs: Path) -> None:
    write_program(programs, "pnpm", "echo no such version >&2; exit 1")
    site = write_project(tmp_path / "site", {"package.json": "{}", "pnpm-lock.yaml": ""})
    with pytest.raises(UserError, match=r"(?s)no such version.*the files are changed; run `pnpm install` in .*site"):
        install_packages(site, tmp_path / "node")


def test_a_package_manager_that_is_not_there_is_named(tmp_path: Path, programs: Path) -> None:
    site = write_project(tmp_path / "site", {"package.json": "{}", "yarn.lock": ""})
    with pytest.raises(UserError, match="yarn was not found on PATH"):
        install_packages(site, tmp_path / "node")


def test_ctrl_c_says_what_is_left_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("subprocess.run", interrupted)
    message = f"it was interrupted, so the npm packages are not installed: the files are changed; run `npm install` in {tmp_path}"
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        install_packages(tmp_path, tmp_path / "node")
