"""Python sites in folders, and the packages that go with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from vinext_worker.checkout import Checkout
from vinext_worker.errors import ConfigurationError, UserError
from vinext_worker.sites.python_packages import install_python_packages, worker_names
from vinext_worker.sites.python_project import PythonProject
from vinext_worker.sites.site_build import find_build

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = Checkout.find()
QUIET = Console(quiet=True)
WRANGLER = 'name = "a"\nmain = "src/entry.py"\ncompatibility_date = "2026-10-01"\ncompatibility_flags = ["python_workers"]\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "entry.py").write_text("")
    (tmp_path / "wrangler.toml").write_text(WRANGLER)
    return tmp_path


def found(folder: Path) -> PythonProject:
    site = PythonProject.find(folder)
    assert site is not None
    return site


def test_a_configuration_with_a_python_main_is_a_site(folder: Path) -> None:
    site = found(folder)
    assert (site.sources, site.packages) == (folder / "src", folder / "python_modules")


@pytest.mark.parametrize("text", [None, WRANGLER.replace("entry.py", "index.js"), WRANGLER.replace("main", "other")])
def test_other_folders_are_none(folder: Path, text: str | None) -> None:
    (folder / "wrangler.toml").unlink()
    if text is not None:
        (folder / "wrangler.toml").write_text(text)
    assert PythonProject.find(folder) is None


@pytest.mark.parametrize(
    ("main", "message"), [("src/missing.py", "does not exist"), ("entry.py", "must lie in a folder of its own")]
)
def test_a_wrong_main_is_named(folder: Path, main: str, message: str) -> None:
    (folder / "entry.py").write_text("")
    (folder / "wrangler.toml").write_text(WRANGLER.replace("src/entry.py", main))
    with pytest.raises(ConfigurationError, match=message):
        PythonProject.find(folder)


def test_a_module_with_a_name_of_the_workers_is_refused(folder: Path) -> None:
    names = worker_names(PROJECT)
    assert {"cache", "pages", "edge", "isr", "vinext"} <= names
    assert "entry" not in names
    found(folder).require_own_names(names)
    (folder / "src" / "pages").mkdir()
    with pytest.raises(UserError, match="is hidden by the Worker's own package pages"):
        found(folder).require_own_names(names)


def test_the_workers_packages_are_installed_and_kept_up_to_date(folder: Path) -> None:
    site = found(folder)
    install_python_packages(site, PROJECT, QUIET)
    packages = folder / "python_modules"
    assert (packages / "cache" / "keys.py").read_bytes() == (PROJECT.root / "src" / "cache" / "keys.py").read_bytes()
    assert (packages / "workers" / "__init__.py").is_file()
    assert (packages / "isr" / "settings.py").is_file()
    assert not (packages / "entry.py").exists()
    (packages / "cache" / "keys.py").write_text("changed")
    (packages / "left_over.py").write_text("")
    install_python_packages(site, PROJECT, QUIET)
    assert (packages / "cache" / "keys.py").read_bytes() == (PROJECT.root / "src" / "cache" / "keys.py").read_bytes()
    assert not (packages / "left_over.py").exists()


def test_native_code_of_this_machine_is_left_out(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    package = tmp_path_factory.mktemp("wheel")
    (package / "pyproject.toml").write_text('[build-system]\nrequires = []\nbuild-backend = "build"\nbackend-path = ["."]\n')
    (package / "build.py").write_text(BACKEND)
    (folder / "requirements.txt").write_text(f"{package}\n")
    install_python_packages(found(folder), PROJECT, QUIET)
    assert (folder / "python_modules" / "tiny.py").is_file()
    assert not (folder / "python_modules" / "tiny_native.so").exists()


def test_pip_that_fails_is_told_with_its_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "requirements.txt").write_text("./no-such-folder-here\n")
    with pytest.raises(UserError, match="pip failed for"):
        install_python_packages(found(folder), PROJECT, Console())
    assert "no-such-folder-here" in capsys.readouterr().out


def test_a_site_that_is_not_pre_rendered_says_so(folder: Path) -> None:
    with pytest.raises(UserError, match="run `vinext-worker prerender"):
        find_build(folder)


BACKEND = """
import zipfile


def build_wheel(directory, *_):
    name = "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(f"{directory}/{name}", "w") as wheel:
        wheel.writestr("tiny.py", "")
        wheel.writestr("tiny_native.so", "")
        wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n")
        wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("tiny-1.0.dist-info/RECORD", "")
    return name
"""
