"""Python sites in folders, and the packages that go with them."""

from __future__ import annotations

import zipfile
from importlib.metadata import distributions
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
    ("main", "message"), [("src/missing.py", "does not exist"), ("entry.py", "must be in a folder of its own")]
)
def test_a_wrong_main_is_named(folder: Path, main: str, message: str) -> None:
    (folder / "entry.py").write_text("")
    (folder / "wrangler.toml").write_text(WRANGLER.replace("src/entry.py", main))
    with pytest.raises(ConfigurationError, match=message):
        PythonProject.find(folder)


def test_a_module_with_a_name_of_the_workers_is_refused(folder: Path) -> None:
    names = worker_names(PROJECT)
    assert {path.name for path in (PROJECT.root / "src").iterdir() if path.is_dir() and path.name != "__pycache__"} <= names
    assert {"workers", "asgi"} <= names
    assert not {name for name in names if "." in name or "-" in name or name == "entry"}
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


def wheel(folder: Path, name: str, *files: str, version: str = "1.0") -> None:
    """Write a wheel that has these files and nothing in them."""
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for file in files:
            archive.writestr(file, "")
        metadata = f"{name}-{version}.dist-info"
        archive.writestr(f"{metadata}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{metadata}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{metadata}/RECORD", "")


def require(folder: Path, wheels: Path, *names: str) -> None:
    (folder / "requirements.txt").write_text("\n".join(("--no-index", f"--find-links {wheels}", *names)))


@pytest.mark.parametrize(
    ("file", "name"),
    [
        pytest.param("cache/__init__.py", "cache", id="a folder"),
        pytest.param("cache/deep/module.py", "cache", id="a folder without __init__"),
        pytest.param("cache.py", "cache", id="a single module"),
        pytest.param("cache.cpython-311-x86_64-linux-gnu.so", "cache", id="a native module"),
        pytest.param("seed/__init__.py", "seed", id="another folder"),
        pytest.param("vinext/extra.py", "vinext", id="a part of what sites import"),
        pytest.param("workers/extra.py", "workers", id="the SDK"),
        pytest.param("asgi.py", "asgi", id="a single module of the SDK"),
    ],
)
def test_a_package_with_a_name_of_the_workers_is_refused(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, file: str, name: str
) -> None:
    wheels = tmp_path_factory.mktemp("wheels")
    wheel(wheels, "harmless", "harmless/__init__.py", "bin/cache", "tests/cache.py")
    wheel(wheels, "tiny_store", "tiny_store/cache.py", file)
    require(folder, wheels, "harmless", "tiny-store")
    for _ in range(2):
        with pytest.raises(UserError) as failure:
            install_python_packages(found(folder), PROJECT, QUIET)
        assert str(failure.value) == (
            f"{folder / 'requirements.txt'}: the package tiny_store has `{name}` at its top level, and so has the Worker "
            "itself; remove the package from that file, or replace it with one that uses other names"
        )
    assert not (folder / "python_modules").exists()


def test_a_package_may_have_such_names_below_its_own(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    wheels = tmp_path_factory.mktemp("wheels")
    wheel(wheels, "tiny", "tiny/cache.py", "tiny/workers/__init__.py", "bin/cache", "tests/cache.py", "cache-stubs/__init__.pyi")
    require(folder, wheels, "tiny")
    install_python_packages(found(folder), PROJECT, QUIET)
    assert (folder / "python_modules" / "tiny" / "cache.py").is_file()


@pytest.mark.parametrize("is_same", [True, False], ids=["the same release", "another release"])
def test_the_workers_own_packages_may_be_required_in_the_same_release(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, *, is_same: bool
) -> None:
    [own] = distributions(name="pyodide-http", path=[str(PROJECT.root / "python_modules")])
    wheels = tmp_path_factory.mktemp("wheels")
    wheel(wheels, "pyodide_http", "pyodide_http/__init__.py", version=own.version if is_same else "0.0.1")
    require(folder, wheels, "pyodide-http")
    if is_same:
        install_python_packages(found(folder), PROJECT, QUIET)
    else:
        with pytest.raises(UserError, match="the package pyodide_http has `pyodide_http` at its top level"):
            install_python_packages(found(folder), PROJECT, QUIET)


def test_native_code_of_this_machine_is_left_out(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    wheels = tmp_path_factory.mktemp("wheels")
    wheel(wheels, "tiny", "tiny.py", "tiny_native.so")
    require(folder, wheels, "tiny")
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
