"""What one start of the embedded runtime compiles, the next one need not; and it is never used for another source."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest
from tests.workerd.patience import eventually

from vinext_worker.errors import ImportFailedError
from vinext_worker.runtime import LocalRuntime, RuntimeOptions
from vinext_worker.toolchain import Project
from vinext_worker.wrangler_config import WranglerConfig

if TYPE_CHECKING:
    from collections.abc import Callable

FIXTURE = Path(__file__).parents[1] / "fixtures" / "runtime"
NOT_USED = "the bytecode of an earlier start is not used"

ENTRY = """
from dataclasses import dataclass
from html import escape

from workers import Response, WorkerEntrypoint

from words import word

@dataclass
class Text:
    text: str

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(escape(Text(word()).text))
"""

WORDS = """
def word():
    return "one"

def fail():
    raise ValueError("as asked for")
"""


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A checkout with a cache of its own."""
    root = tmp_path_factory.mktemp("tools")
    real = Project.find()
    (root / "node_modules").symlink_to(real.node_modules)
    (root / "python_modules").symlink_to(real.root / "python_modules")
    return Project(root)


class Site:
    """A project whose sources change between starts."""

    def __init__(self, folder: Path, tools: Project) -> None:
        shutil.copytree(FIXTURE, folder)
        self.folder = folder
        self.tools = tools
        self.write("entry", ENTRY)
        self.write("words", WORDS)

    @property
    def cache(self) -> Path:
        return self.tools.local / "cache"

    def write(self, name: str, source: str) -> None:
        (self.folder / "src" / f"{name}.py").write_text(source)

    def runtime(self, **changes: object) -> LocalRuntime:
        config = WranglerConfig.read(self.folder / "wrangler.toml")
        return LocalRuntime(RuntimeOptions(config=config, project=self.tools, **changes))  # type: ignore[arg-type]

    def start_and_stop(self) -> tuple[str, int]:
        """What a start serves, and how much it had to compile; it has left its bytecode when it has stopped."""
        with self.runtime() as runtime:
            return answer(runtime), compiled(runtime)

    def kept(self) -> list[Path]:
        return sorted(self.cache.glob("*.bytecode*"))


def answer(runtime: LocalRuntime) -> str:
    return httpx.get(runtime.url, trust_env=False).text


def compiled(runtime: LocalRuntime) -> int:
    count = runtime.control().ask("boot")["compiled"]
    assert isinstance(count, int)
    return count


@pytest.fixture
def site(tmp_path: Path, tools: Project) -> Site:
    made = Site(tmp_path / "site", tools)
    for file in made.kept():
        file.unlink()
    return made


def test_the_second_start_compiles_nothing(site: Site) -> None:
    text, count = site.start_and_stop()
    assert text == "one"
    assert count > 10  # with the SDK, the standard library's `html` and the methods of `Text`
    assert site.start_and_stop() == ("one", 0)
    assert len(site.kept()) == 1


def test_what_a_start_has_compiled_is_kept_while_it_serves(site: Site) -> None:
    with site.runtime() as runtime:
        eventually(site.kept, lambda kept: [file.suffix for file in kept] == [".bytecode"])
        assert answer(runtime) == "one"


def test_only_a_changed_source_is_compiled_anew_and_it_is_what_is_served(site: Site) -> None:
    site.start_and_stop()
    site.write("words", WORDS.replace("one", "two"))
    assert site.start_and_stop() == ("two", 1)
    assert site.start_and_stop() == ("two", 0)


def test_a_new_project_imports_what_it_has_in_common_with_the_last_one(site: Site, tmp_path: Path) -> None:
    assert site.start_and_stop()[1] > 1
    other = Site(tmp_path / "other", site.tools)
    other.write("words", WORDS.replace("one", "other"))
    assert other.start_and_stop() == ("other", 1)
    assert len(site.kept()) == 2
    assert site.start_and_stop() == ("one", 0)
    assert other.start_and_stop() == ("other", 0)


def test_a_reload_compiles_only_what_has_changed(site: Site) -> None:
    site.start_and_stop()
    with site.runtime() as runtime:
        assert compiled(runtime) == 0
        site.write("words", WORDS.replace("one", "two"))
        runtime.reload()
        assert (answer(runtime), compiled(runtime)) == ("two", 1)
        site.write("words", "import nowhere\n")
        with pytest.raises(ImportFailedError, match=r'File "src/words.py", line 1, in <module>\n    import nowhere'):
            runtime.reload()
        assert answer(runtime) == "two"
    site.write("words", WORDS.replace("one", "two"))
    assert site.start_and_stop() == ("two", 0)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda kept: b"", id="empty"),
        pytest.param(lambda kept: kept[: len(kept) // 2], id="cut off"),
        pytest.param(lambda kept: kept[:5000] + bytes([kept[5000] ^ 1]) + kept[5001:], id="one bit"),
    ],
)
def test_damaged_bytecode_is_a_line_in_the_log_and_made_anew(site: Site, damage: Callable[[bytes], bytes]) -> None:
    site.start_and_stop()
    [file] = site.kept()
    file.write_bytes(damage(file.read_bytes()))
    with site.runtime() as runtime:
        assert answer(runtime) == "one"
        assert compiled(runtime) > 0
        line = runtime.wait_for_log(NOT_USED)
    assert (line.level, line.message) == ("warn", f"{NOT_USED}: ValueError: the file is damaged, or of another Python")
    assert site.start_and_stop() == ("one", 0)


def test_a_traceback_names_the_lines_of_modules_that_come_from_bytecode(site: Site) -> None:
    site.start_and_stop()
    site.write("entry", "from words import fail\n\nfail()\n")
    with pytest.raises(ImportFailedError) as failure:
        site.runtime().start()
    assert str(failure.value).splitlines() == [
        "Traceback (most recent call last):",
        '  File "src/entry.py", line 3, in <module>',
        "    fail()",
        "    ~~~~^^",
        '  File "src/words.py", line 6, in fail',
        '    raise ValueError("as asked for")',
        "ValueError: as asked for",
    ]


def test_a_source_that_is_not_python_is_named_with_its_line_and_nothing_of_the_runtime(site: Site) -> None:
    site.write("words", "def word():\n    return = 1\n")
    with pytest.raises(ImportFailedError) as failure:
        site.runtime().start()
    assert str(failure.value).splitlines() == [
        "Traceback (most recent call last):",
        '  File "src/entry.py", line 7, in <module>',
        "    from words import word",
        '  File "src/words.py", line 2',
        "    return = 1",
        "           ^",
        "SyntaxError: invalid syntax",
    ]


def test_a_module_that_fails_in_a_request_is_named_without_the_runtimes_frames(site: Site) -> None:
    site.write("late", "def word():\n    return = 1\n")
    site.write("entry", ENTRY.replace("        return", "        import late\n        return"))
    with site.runtime() as runtime:
        assert httpx.get(runtime.url, trust_env=False).status_code == 500
        line = runtime.wait_for_log("SyntaxError")
    assert line.message.splitlines() == [
        "Traceback (most recent call last):",
        '  File "src/entry.py", line 15, in fetch',
        "    import late",
        '  File "src/late.py", line 2',
        "    return = 1",
        "           ^",
        "SyntaxError: invalid syntax",
    ]


def test_runtimes_that_start_at_once_share_the_cache(site: Site) -> None:
    with ThreadPoolExecutor(2) as threads:
        started = list(threads.map(lambda _: site.start_and_stop(), range(2)))
    assert [text for text, _ in started] == ["one", "one"]
    assert [file.suffix for file in site.kept()] == [".bytecode"]
    assert site.start_and_stop() == ("one", 0)


def test_without_bytecode_nothing_is_kept_or_used(site: Site) -> None:
    with site.runtime(bytecode=False) as runtime:
        assert answer(runtime) == "one"
    assert site.kept() == []


def test_files_of_another_release_and_of_projects_long_unused_are_removed(site: Site) -> None:
    site.start_and_stop()
    [snapshot], [own] = site.cache.glob("*.snapshot"), site.kept()
    others = [own.with_name(f"{snapshot.stem}-{number}.bytecode") for number in range(20)]
    for file in (*others, site.cache / "python-old.snapshot", site.cache / "python-old-project.bytecode"):
        file.write_bytes(b"")
    site.write("words", WORDS.replace("one", "two"))
    site.start_and_stop()
    assert list(site.cache.glob("*.snapshot")) == [snapshot]
    assert len(site.kept()) == 16
    assert own in site.kept()
