"""Python sites in folders, and the packages that go with them."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.errors import ConfigurationError, UserError
from vinext_worker.project import Project
from vinext_worker.sites import python_packages
from vinext_worker.sites.fingerprint import python_fingerprint
from vinext_worker.sites.python_packages import inputs_digest, install_python_packages
from vinext_worker.sites.python_project import PythonProject
from vinext_worker.sites.site_build import find_build

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = Project.find()
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


@pytest.mark.parametrize(
    ("text", "environment"), [("API=b\n", None), ("API=a\n", "staging")], ids=["a local variable", "the environment"]
)
def test_pages_are_rendered_again_with_other_variables(folder: Path, text: str, environment: str | None) -> None:
    configuration = folder / "wrangler.toml"
    configuration.write_text(f"{WRANGLER}[env.staging]\nvars = {{}}\n")
    (folder / ".dev.vars").write_text("API=a\n")
    before = python_fingerprint(found(folder))
    assert python_fingerprint(found(folder)) == before
    (folder / ".dev.vars").write_text(text)
    site = PythonProject.find(folder, WranglerConfig.read(configuration, environment))
    assert site is not None
    assert python_fingerprint(site) != before


def require(folder: Path, *names: str) -> None:
    """Let the site depend on packages of its folder `wheels`, and of no registry."""
    (folder / "wheels").mkdir(exist_ok=True)
    (folder / "pyproject.toml").write_text(
        f"[project]\nname = 'a-site'\nversion = '1.0'\ndependencies = {list(names)}\n"
        "[tool.uv.pip]\nno-index = true\nfind-links = ['wheels']\n"
    )
    for name in ("pyodide_http", "workers_runtime_sdk"):
        wheel(folder, name, "workers/__init__.py" if name.startswith("w") else f"{name}/__init__.py", version="9.0")


def wheel(folder: Path, name: str, *files: str, version: str = "1.0", tag: str = "py3-none-any") -> None:
    """Write a wheel that has these files and nothing in them."""
    with zipfile.ZipFile(folder / "wheels" / f"{name}-{version}-{tag}.whl", "w") as archive:
        for file in files:
            archive.writestr(file, "")
        metadata = f"{name}-{version}.dist-info"
        archive.writestr(f"{metadata}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{metadata}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{metadata}/RECORD", "")


def library_module(name: str) -> bytes:
    with zipfile.ZipFile(PROJECT.tools.installation.library()) as archive:
        return archive.read(name)


def test_the_library_is_installed_and_kept_up_to_date(folder: Path) -> None:
    require(folder, "vinext-worker")
    site = found(folder)
    install_python_packages(site, PROJECT.tools, QUIET)
    packages = folder / "python_modules"
    assert (packages / "vinext" / "cache" / "keys.py").read_bytes() == library_module("vinext/cache/keys.py")
    assert (packages / "workers" / "__init__.py").is_file()
    (packages / "vinext" / "cache" / "keys.py").write_text("changed")
    (packages / "left_over.py").write_text("")
    (packages / ".synced").write_text("by pywrangler")
    install_python_packages(site, PROJECT.tools, QUIET)
    assert (packages / "vinext" / "cache" / "keys.py").read_bytes() == library_module("vinext/cache/keys.py")
    assert not (packages / "left_over.py").exists()
    assert (packages / ".synced").is_file()


def test_the_packages_follow_a_wheel_of_the_site_s_own(folder: Path) -> None:
    require(folder, "vinext-worker")
    with (folder / "pyproject.toml").open("a") as file:
        file.write("\n[tool.uv.sources]\nvinext-worker = { path = 'vendor.whl' }\n")
    digests = []
    for text in (b"one", b"two"):
        (folder / "vendor.whl").write_bytes(text)
        digests.append(inputs_digest(found(folder), PROJECT.tools))
    assert digests[0] != digests[1]


def test_the_packages_follow_the_dependencies(folder: Path) -> None:
    require(folder, "vinext-worker", "tiny")
    wheel(folder, "tiny", "tiny.py", "bin/tiny", "tests/tiny.py")
    wheel(folder, "other", "other.py")
    packages = folder / "python_modules"
    install_python_packages(found(folder), PROJECT.tools, QUIET)
    assert (packages / "tiny.py").is_file()
    assert not (packages / "bin").exists()
    assert not (packages / "tests").exists()
    require(folder, "vinext-worker", "other")
    install_python_packages(found(folder), PROJECT.tools, QUIET)
    assert (packages / "other.py").is_file()
    assert not (packages / "tiny.py").exists()


def test_a_wheel_for_pyodide_is_taken_and_none_for_this_machine(folder: Path) -> None:
    require(folder, "vinext-worker", "tiny")
    wheel(folder, "tiny", "here.so", version="2.0", tag="cp314-cp314-manylinux_2_17_x86_64")
    wheel(folder, "tiny", "tiny.so", tag="cp314-cp314-pyemscripten_2026_0_wasm32")
    install_python_packages(found(folder), PROJECT.tools, QUIET)
    assert (folder / "python_modules" / "tiny.so").is_file()


def test_releases_of_the_lock_file_stay(folder: Path) -> None:
    require(folder, "vinext-worker", "tiny")
    wheel(folder, "tiny", "old.py")
    install_python_packages(found(folder), PROJECT.tools, QUIET)
    locked = (folder / ".vinext" / "pylock.toml").read_text()
    (folder / "pylock.toml").write_text(locked)
    wheel(folder, "tiny", "new.py", version="2.0")
    install_python_packages(found(folder), PROJECT.tools, QUIET)
    assert (folder / "python_modules" / "old.py").is_file()
    assert (folder / "pylock.toml").read_text() == locked
    (folder / "pylock.toml").unlink()
    install_python_packages(found(folder), PROJECT.tools, QUIET)
    assert (folder / "python_modules" / "new.py").is_file()


def test_nobody_elses_package_of_the_librarys_name_is_taken(folder: Path) -> None:
    require(folder, "vinext-worker")
    wheel(folder, "vinext_worker", "evil.py", version="99.0")
    install_python_packages(found(folder), PROJECT.tools, QUIET)
    assert not (folder / "python_modules" / "evil.py").exists()


@pytest.mark.parametrize(
    ("requirement", "source", "message"),
    [
        pytest.param("vinext-worker==99.0.0", "", "vinext-worker 99.0.0 is newer than this command", id="newer"),
        pytest.param("vinext-worker==0.0.1", "", "vinext-worker 0.0.1 is older than this command", id="older"),
        pytest.param(
            "vinext-worker",
            "vinext-worker = { path = 'vendor/vinext_worker-0.0.1-py3-none-any.whl' }",
            "run `vinext-worker init` in .* again",
            id="an older wheel of the site's own",
        ),
    ],
)
def test_a_library_of_another_release_is_one_line(folder: Path, requirement: str, source: str, message: str) -> None:
    require(folder, requirement)
    with (folder / "pyproject.toml").open("a") as file:
        file.write(f"\n[tool.uv.sources]\n{source}\n")
    with pytest.raises(UserError, match=rf"pyproject\.toml: .*{message}"):
        install_python_packages(found(folder), PROJECT.tools, QUIET)
    assert not (folder / "python_modules").exists()


@pytest.mark.parametrize("file", ["cache.py", "cache/__init__.py", "cache/deep/module.py"])
def test_a_site_may_have_a_module_of_a_folder_of_the_librarys(folder: Path, file: str) -> None:
    require(folder, "vinext-worker")
    (folder / "src" / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / "src" / file).write_text("")
    install_python_packages(found(folder), PROJECT.tools, QUIET)
    assert (folder / "python_modules" / "vinext").is_dir()


@pytest.mark.parametrize(("file", "name"), [("vinext.py", "vinext"), ("workers/__init__.py", "workers"), ("tiny.py", "tiny")])
def test_a_module_that_a_package_hides_is_refused(folder: Path, file: str, name: str) -> None:
    require(folder, "vinext-worker", "tiny")
    wheel(folder, "tiny", "tiny/__init__.py")
    (folder / "src" / file).parent.mkdir(exist_ok=True)
    (folder / "src" / file).write_text("")
    with pytest.raises(UserError, match=f"is hidden by the package {name} in python_modules"):
        install_python_packages(found(folder), PROJECT.tools, QUIET)
    assert not (folder / "python_modules").exists()


def test_dependencies_without_the_library_are_refused(folder: Path) -> None:
    require(folder, "tiny")
    wheel(folder, "tiny", "tiny.py")
    with pytest.raises(UserError, match="the dependencies lack vinext-worker"):
        install_python_packages(found(folder), PROJECT.tools, QUIET)
    assert not (folder / "python_modules").exists()


def test_what_uv_cannot_install_is_told_with_its_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    require(folder, "vinext-worker", "no-such-package-here")
    with pytest.raises(UserError, match=r"pyproject\.toml cannot be installed for a Python Worker"):
        install_python_packages(found(folder), PROJECT.tools, Console())
    assert "no-such-package-here" in capsys.readouterr().out


def test_a_registry_that_cannot_be_reached_is_asked_no_other_way(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "pyproject.toml").write_text(
        "[project]\nname = 'a-site'\nversion = '1.0'\ndependencies = ['vinext-worker', 'tiny']\n"
    )
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setattr(python_packages, "_PYODIDE_INDEX", "no address, so that uv would say so")
    with pytest.raises(UserError, match="cannot be installed for a Python Worker"):
        install_python_packages(found(folder), PROJECT.tools, Console())
    assert "127.0.0.1:9/simple/tiny" in capsys.readouterr().out


@pytest.mark.parametrize("library", ["", "vinext-worker"])
def test_the_packages_of_a_requirements_file_and_the_library(
    folder: Path, library: str, capsys: pytest.CaptureFixture[str]
) -> None:
    require(folder)
    wheel(folder, "tiny", "tiny.py")
    (folder / "pyproject.toml").unlink()
    (folder / "requirements.txt").write_text(f"# ours\n--no-index\n--find-links wheels\ntiny==1.0\n{library}\n")
    install_python_packages(found(folder), PROJECT.tools, Console(width=1000))
    assert (folder / "python_modules" / "tiny.py").is_file()
    assert (folder / "python_modules" / "vinext" / "worker.py").is_file()
    assert "`vinext-worker init` makes a pyproject.toml of it" in capsys.readouterr().out


def test_a_list_that_a_requirements_file_includes_decides_too(folder: Path) -> None:
    digests = set()
    for base, limits in (("tiny==1.0", ""), ("tiny==1.1", ""), ("tiny==1.1", "tiny<2")):
        (folder / "requirements.txt").write_text("-r lists/base.txt # ours\n")
        (folder / "lists").mkdir(exist_ok=True)
        # What a list includes is beside it; this one includes the first again.
        (folder / "lists" / "base.txt").write_text(f"{base}\n-r ../requirements.txt\n--constraint=limits.txt\n")
        (folder / "lists" / "limits.txt").write_text(limits)
        digests.add(inputs_digest(found(folder), PROJECT.tools))
    assert len(digests) == 3


def test_a_requirements_file_in_another_encoding_is_told(folder: Path) -> None:
    (folder / "requirements.txt").write_text("tiny==1.0\n", "utf-16")
    with pytest.raises(ConfigurationError, match=r"requirements\.txt cannot be read .*UTF-8"):
        install_python_packages(found(folder), PROJECT.tools, QUIET)


def test_a_site_without_a_list_of_packages_is_told_where_it_goes(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"pyproject\.toml does not exist.*vinext-worker among them"):
        install_python_packages(found(folder), PROJECT.tools, QUIET)


def test_a_site_that_is_not_pre_rendered_says_so(folder: Path) -> None:
    with pytest.raises(UserError, match="run `vinext-worker prerender"):
        find_build(folder)
