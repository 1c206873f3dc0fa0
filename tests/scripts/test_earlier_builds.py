"""Static files of earlier builds stay: a page in an open tab goes on asking for those of its build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakes.builds import written_build

from vinext_worker.copy.build_copy import copy_build
from vinext_worker.copy.earlier_builds import EarlierBuilds, StaticFiles

if TYPE_CHECKING:
    from pathlib import Path

    from vinext_worker.copy.build_copy import CopyReport

FOLDER = "_next/static"


def copied(build_id: str, folder: Path, *, kept: int = 2) -> CopyReport:
    """Copy a build with a page, a script of its own, and a file without a hash in its name."""
    root = folder / f"site-{build_id}"
    document = {"buildId": build_id, "trailingSlash": False, "routes": [], "pregeneratedConcretePaths": []}
    root.mkdir(exist_ok=True)
    built = written_build(root, document, {})
    for name in (f"{FOLDER}/{build_id}.js", f"{FOLDER}/shared.js", f"{build_id}.txt"):
        path = built.client_directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(build_id)
    return copy_build(built, folder / "assets", kept)


def scripts(folder: Path) -> set[str]:
    return {path.name for path in (folder / "assets" / FOLDER).iterdir()}


def test_files_of_the_last_builds_stay_and_older_ones_go(tmp_path: Path) -> None:
    for build in "abc":
        report = copied(build, tmp_path)
    assert scripts(tmp_path) == {"a.js", "b.js", "c.js", "shared.js"}
    assert report.kept_files == 2
    assert {path.name for path in (tmp_path / "assets").glob("*.txt")} == {"c.txt"}
    assert (tmp_path / "assets" / FOLDER / "shared.js").read_text() == "c"
    assert copied("d", tmp_path).removed_files == 2  # a script, and a file without a hash
    assert scripts(tmp_path) == {"b.js", "c.js", "d.js", "shared.js"}


def test_the_same_build_again_takes_no_ones_place(tmp_path: Path) -> None:
    for build in "abcc":
        report = copied(build, tmp_path)
    assert scripts(tmp_path) == {"a.js", "b.js", "c.js", "shared.js"}
    assert report.removed_files == 0


def test_none_stay_if_none_are_wanted(tmp_path: Path) -> None:
    copied("a", tmp_path)
    copied("b", tmp_path, kept=0)
    assert scripts(tmp_path) == {"b.js", "shared.js"}


def test_builds_that_were_live_stay_before_others() -> None:
    live = StaticFiles("live", ("a.js",), is_deployed=True)
    tried = StaticFiles("tried", ("b.js",))
    after = EarlierBuilds((tried, live)).followed_by("new", ("c.js",), 2)
    assert [build.build_id for build in after.builds] == ["new", "live"]
    assert after.deployed().builds[0].is_deployed
    assert EarlierBuilds().deployed() == EarlierBuilds()


def test_builds_that_were_live_perhaps_stay_and_take_no_place_of_those_that_were() -> None:
    names = ("perhaps1", "perhaps2", "live1", "perhaps3", "live2")
    builds = [StaticFiles(name, (), is_deployed=name.startswith("live"), is_begun=True) for name in names]
    after = EarlierBuilds(tuple(builds)).followed_by("new", (), 2)
    assert [build.build_id for build in after.builds] == ["new", "perhaps1", "perhaps2", "live1", "live2"]
    assert [build.build_id for build in EarlierBuilds(tuple(builds)).followed_by("new", (), 0).builds] == ["new"]
    begun = EarlierBuilds((StaticFiles("a", ()),)).begun().builds[0]
    assert (begun.is_begun, begun.is_deployed) == (True, False)


def test_a_build_that_is_copied_again_stays_deployed(tmp_path: Path) -> None:
    for build in "ab":
        copied(build, tmp_path)
        EarlierBuilds.read(tmp_path / "assets").deployed().write(tmp_path / "assets")
    copied("b", tmp_path)
    copied("c", tmp_path, kept=1)
    assert scripts(tmp_path) == {"b.js", "c.js", "shared.js"}


def test_what_an_older_command_has_noted_is_read(tmp_path: Path) -> None:
    copied("a", tmp_path)
    note = tmp_path / "assets" / "__prerender" / "static-files.json"
    note.write_text(note.read_text().replace(',\n   "is_begun": false', "").replace("false", "true"))
    assert "is_begun" not in note.read_text()
    assert EarlierBuilds.read(tmp_path / "assets").builds[0].is_deployed


def test_a_note_that_cannot_be_read_is_no_note(tmp_path: Path) -> None:
    copied("a", tmp_path)
    note = tmp_path / "assets" / "__prerender" / "static-files.json"
    assert EarlierBuilds.read(tmp_path / "assets").builds[0].build_id == "a"
    for text in ("", "[]", '{"builds": [{}]}'):
        note.write_text(text)
        assert EarlierBuilds.read(tmp_path / "assets") == EarlierBuilds()
