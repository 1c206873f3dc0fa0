"""Populators by name, those of other packages included, and what the commands say to programs and people."""

from __future__ import annotations

import shutil
from importlib.metadata import EntryPoint, EntryPoints
from typing import TYPE_CHECKING, ClassVar, Self

import pytest
from rich.console import Console
from tests.fakes.deployments import FakeDeployment

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions
from vinext_worker.populate import populator
from vinext_worker.populate.populator import CannotEncodeError, Limits, Parcel
from vinext_worker.project import Project
from vinext_worker.sites.site_build import build_vinext_site

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.fakes.deployments import CommandLine

    from seed.entries import SeedEntry
    from vinext_worker.populate.populator import Destination


class ListPopulator:
    """As a package of its own would have it."""

    kept: ClassVar[dict[str, bytes]] = {}
    limits = Limits(max_parcels=2, max_bytes=1000, batch_bytes=1000)

    def __init__(self, destination: Destination) -> None:
        self.target = f"a list called {destination.options['name']}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None: ...

    def encode(self, seed: SeedEntry) -> Sequence[Parcel]:
        if seed.path == "/refused":
            raise CannotEncodeError("this list does not take it")
        return [Parcel(seed.key, seed.path.encode(), None)]

    async def send(self, parcels: Sequence[Parcel]) -> Mapping[str, str]:
        assert len(parcels) <= 2
        self.kept.update({parcel.key: parcel.payload for parcel in parcels})
        return {}

    async def verify(self, parcel: Parcel) -> str | None:
        return None if parcel.key in self.kept else "it is not there"


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    points = EntryPoints(
        [
            EntryPoint("list", f"{__name__}:ListPopulator", populator.ENTRY_POINTS),
            EntryPoint("broken", "no_such_package:Populator", populator.ENTRY_POINTS),
            EntryPoint("kv", "no_such_package:Populator", populator.ENTRY_POINTS),
        ]
    )
    monkeypatch.setattr(populator, "entry_points", points.select)
    monkeypatch.setattr(EntryPoint, "load", load)


def load(point: EntryPoint) -> object:
    if point.value.startswith("no_such_package"):
        raise ImportError("No module named 'no_such_package'")
    return ListPopulator


def test_a_packages_own_populator_is_found_by_its_name(registered: None, tmp_path: Path, command_line: CommandLine) -> None:
    deployment = FakeDeployment.of_pages(tmp_path, {"/a": b"", "/b": b"", "/c": b"", "/refused": b""})
    arguments = ("populate", "--config", deployment.config, "--into", "list", "--option", "name=mine", "--verify", "2")
    said = command_line.run(*arguments, "--json")
    assert (said.status, said.document["target"], said.document["written"]) == (0, "a list called mine", 3)
    assert said.document["skipped"]["first"] == [{"name": "/refused", "reason": "html: this list does not take it"}]
    assert set(ListPopulator.kept.values()) == {b"/a", b"/b", b"/c"}
    assert command_line.run(*arguments, "--json").document["unchanged"] == 3


def test_names_are_known_and_ours_come_first(registered: None) -> None:
    assert populator.populator_names() == ["kv", "r2", "worker", "local", "broken", "list"]
    assert populator.find_populator("kv").__name__ == "kv_populator"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("redis", "there is no populator 'redis', only kv, r2, worker, local", id="unknown"),
        pytest.param("broken", "does not import", id="broken"),
        pytest.param("worker", "name it with --url", id="no URL"),
    ],
)
def test_one_that_cannot_be_used_is_one_line(
    registered: None, name: str, message: str, tmp_path: Path, command_line: CommandLine
) -> None:
    deployment = FakeDeployment.of_pages(tmp_path, {"/a": b""})
    said = command_line.run("populate", "--config", deployment.config, "--into", name)
    assert (said.status, len(said.err.strip().splitlines())) == (1, 1)
    assert message in said.err


@pytest.mark.parametrize("option", ["name", "=value"])
def test_an_option_is_a_name_and_a_value(option: str, tmp_path: Path, command_line: CommandLine) -> None:
    deployment = FakeDeployment.of_pages(tmp_path, {})
    assert command_line.run("populate", "--config", deployment.config, "--option", option).status == 2


@pytest.mark.parametrize("command", ["copy", "populate", "prune", "tpr", "deploy", "check", "revalidate"])
def test_help_has_examples_and_every_command_speaks_to_programs(command: str, command_line: CommandLine) -> None:
    said = command_line.run(command, "--help")
    assert said.status == 0
    assert "Examples:" in said.out
    assert f"vinext-worker {command} " in said.out
    assert "--json" in said.out


@pytest.mark.parametrize(
    ("namespace", "bucket", "binding"),
    [
        ("local", "", "VINEXT_CACHE"),
        (None, '[[r2_buckets]]\nbinding = "VINEXT_CACHE_R2"\nbucket_name = "pages"', "VINEXT_CACHE_R2"),
    ],
    ids=["KV", "R2 alone"],
)
def test_the_local_runtimes_store_is_filled(  # noqa: PLR0913, PLR0917 - the cases
    namespace: str | None, bucket: str, binding: str, tmp_path: Path, command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project.find()
    monkeypatch.setattr(Project, "local", property(lambda _self: tmp_path / "local"))
    pages = {f"/{number}": b"<p>page</p>" for number in range(5)}
    deployment = FakeDeployment.of_pages(tmp_path, pages)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "entry.py").write_text(ENTRY)
    deployment.configure(f'main = "src/entry.py"\ncompatibility_flags = ["python_workers"]\n{bucket}', namespace=namespace)
    said = command_line.run("populate", "--config", deployment.config, "--into", "local", "--verify", "5", "--json")
    assert (said.status, said.document["written"], said.document["wrong"]["count"]) == (0, 5, 0)
    config = WranglerConfig.read(deployment.config)
    with LocalRuntime(RuntimeOptions(config=config, tools=project.tools, state=tmp_path / "local" / "state")) as runtime:
        store = runtime.kv(binding)
        assert len(store.names("cache:app:v2:b1:/")) == 5
        assert store.metadata("cache:app:v2:b1:/0:html")["tags"][0] == "/0"


ENTRY = """
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("nothing")
"""


def test_copy_says_what_it_did(tmp_path: Path, command_line: CommandLine) -> None:
    project = Project.find()
    example = build_vinext_site(project.root / "examples" / "vinext", project.tools, Console(quiet=True)).root
    said = command_line.run("copy", example, "--to", tmp_path / "assets", "--json")
    assert said.status == 0
    assert said.document["routes"] > 10
    assert (tmp_path / "assets" / "__prerender" / "build.json").is_file()
    again = command_line.run("copy", example, "--to", tmp_path / "assets")
    assert "0 files written" in again.out
    shutil.rmtree(tmp_path / "assets")
    assert command_line.run("copy", tmp_path).status == 1
