"""The packages as they are published: their files, their metadata, and that the same sources give the same bytes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from email import message_from_bytes
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest
from tests.fakes.python_worker import PROJECT

from build_packages.adapter import build_adapter
from build_packages.wheels import ROOT, SOURCES, build_library, project

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@pytest.fixture(scope="module")
def library_files(library: Path) -> Mapping[str, bytes]:
    with ZipFile(library) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def adapter_files(adapter: Path) -> Mapping[str, bytes]:
    with tarfile.open(adapter) as archive:
        members = {member.name.removeprefix("package/"): archive.extractfile(member) for member in archive}
        return {name: file.read() for name, file in members.items() if file is not None}


def test_the_library_has_one_top_level_name(library_files: Mapping[str, bytes]) -> None:
    metadata = f"vinext_worker-{project()['version']}.dist-info"
    assert {name.partition("/")[0] for name in library_files} == {"vinext", metadata}
    assert {"vinext/py.typed", f"{metadata}/licenses/LICENSE"} <= library_files.keys()


def test_the_library_has_every_module_of_the_worker(library_files: Mapping[str, bytes]) -> None:
    modules = {path.relative_to(SOURCES).as_posix() for path in SOURCES.rglob("*.py")} - {"entry.py"}
    expected = {name if name.startswith("vinext/") else f"vinext/{name}" for name in modules}
    assert {name for name in library_files if name.endswith(".py")} == expected


def test_the_library_depends_on_what_a_worker_needs_alone(library_files: Mapping[str, bytes]) -> None:
    version = project()["version"]
    metadata = message_from_bytes(library_files[f"vinext_worker-{version}.dist-info/METADATA"])
    assert (metadata["Name"], metadata["Version"], metadata["License-Expression"]) == ("vinext-worker", version, "MIT")
    assert metadata.get_all("Requires-Dist") == [
        "pyodide-http>=0.2.2",
        "workers-runtime-sdk>=1.9.5",
        f"vinext-worker-cli=={version}; extra == 'cli'",
    ]
    assert "from vinext.worker import Default" in str(metadata.get_payload())


def test_the_command_carries_the_other_packages_and_the_list_of_its_tools(command: Path, library: Path, adapter: Path) -> None:
    version = project()["version"]
    with ZipFile(command) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert files[f"vinext_worker/artifacts/{library.name}"] == library.read_bytes()
    assert files[f"vinext_worker/artifacts/{adapter.name}"] == adapter.read_bytes()
    for name in ("package.json", "package-lock.json", "node_modules/@babel/parser/lib/index.js"):
        assert files[f"vinext_worker/artifacts/npm/{name}"] == (ROOT / name).read_bytes()
    assert {"vinext_worker/py.typed", "vinext_worker/local_runtime/host.mjs", "vinext_worker/init/edit.mjs"} <= files.keys()
    metadata = message_from_bytes(files[f"vinext_worker_cli-{version}.dist-info/METADATA"])
    assert f"vinext-worker=={version}" in (metadata.get_all("Requires-Dist") or [])
    assert b"vinext-worker = vinext_worker.main:main" in files[f"vinext_worker_cli-{version}.dist-info/entry_points.txt"]
    modules = {path.name for path in SOURCES.iterdir() if path.is_dir()} - {"vinext", "__pycache__"}
    wrong = re.compile(rb"^\s*(?:from|import) (?:%s)\b" % "|".join(sorted(modules)).encode(), re.MULTILINE)
    assert not [name for name, content in files.items() if name.endswith(".py") and wrong.search(content)]


def test_the_adapter_has_its_entrypoints_types_readme_and_licence(adapter_files: Mapping[str, bytes]) -> None:
    manifest = json.loads(adapter_files["package.json"])
    named = {path.removeprefix("./") for entry in manifest["exports"].values() for path in entry.values()}
    assert {"README.md", "LICENSE", *named} <= adapter_files.keys()
    assert {name for name in named if name.endswith(".d.ts")} == {"index.d.ts", "runtime.d.ts", "worker.d.ts"}
    assert manifest["version"] == project()["version"]


def test_node_finds_the_adapter_by_its_name(adapter: Path, tmp_path: Path) -> None:
    """And everything that a build is told to bundle with the app is in the package."""
    with tarfile.open(adapter) as archive:
        archive.extractall(tmp_path / "node_modules", filter="data")
    (tmp_path / "node_modules" / "package").rename(tmp_path / "node_modules" / "vinext-worker-adapter")
    (tmp_path / "app.mjs").write_text(
        'import { vinextWorkerCache } from "vinext-worker-adapter";\n'
        'import { readFileSync } from "node:fs";\n'
        "const { adapter, output } = vinextWorkerCache();\n"
        'for (const file of [adapter, output.entry]) readFileSync(file, "utf8");\n'
        'console.log(import.meta.resolve("vinext-worker-adapter/worker"));\n'
    )
    done = subprocess.run([PROJECT.tools.node, tmp_path / "app.mjs"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == (tmp_path / "node_modules" / "vinext-worker-adapter" / "worker.js").as_uri()


def test_every_file_of_the_adapter_imports_files_of_the_package(adapter_files: Mapping[str, bytes]) -> None:
    for name, source in adapter_files.items():
        if name.endswith(".js"):
            imported = re.findall(r'(?:from|import) "\./([^"]+)"', source.decode())
            assert set(imported) <= adapter_files.keys(), name


def test_the_readmes_link_to_nothing_outside_their_package(
    library_files: Mapping[str, bytes], adapter_files: Mapping[str, bytes]
) -> None:
    (metadata,) = (content for name, content in library_files.items() if name.endswith("METADATA"))
    for readme in (metadata, adapter_files["README.md"]):
        assert b"](../" not in readme
        assert b"](docs/" not in readme


def test_the_same_sources_give_the_same_bytes(library: Path, adapter: Path, tmp_path: Path) -> None:
    assert build_library(tmp_path).read_bytes() == library.read_bytes()
    assert build_adapter(tmp_path).read_bytes() == adapter.read_bytes()


@pytest.mark.parametrize("file", ["docs/python-page-handlers.md", "adapters/vinext/README.md"])
def test_files_that_name_a_package_name_this_version(file: str) -> None:
    names = re.findall(r"vinext[_-]worker[\w-]*?-(\d+\.\d+\.\d+)", (ROOT / file).read_text())
    assert names
    assert set(names) == {project()["version"]}


def test_pip_builds_the_library_from_this_repository(library: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        str(ROOT),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / library.name).read_bytes() == library.read_bytes()
