"""What the imports of one start leave for the next: code that is never used for another source than its own."""

from __future__ import annotations

import collections
import dataclasses
import importlib
import sys
from typing import TYPE_CHECKING

import pytest

from vinext_worker.runtime.bytecode import Bytecode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import CodeType, ModuleType

SOURCE = """
import dataclasses
from typing import NamedTuple

@dataclasses.dataclass
class Point:
    x: int
    y: int

class Pair(NamedTuple):
    left: int
    right: int
"""


@pytest.fixture(autouse=True)
def import_system(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As it was, when the test is over."""
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setattr(sys, "path_hooks", sys.path_hooks.copy())
    monkeypatch.setattr(sys, "path_importer_cache", sys.path_importer_cache.copy())
    yield
    vars(dataclasses).pop("exec", None)
    vars(collections).pop("eval", None)


def imported(bytecode: Bytecode, folder: Path, name: str) -> ModuleType:
    """The module as a new interpreter would import it."""
    sys.path_importer_cache.clear()
    sys.modules.pop(name, None)
    sys.path.insert(0, str(folder))
    bytecode.install(str(folder))
    module = importlib.import_module(name)
    bytecode.finish()
    sys.path_hooks.pop(0)
    return module


def loaded(kept: bytes) -> Bytecode:
    bytecode = Bytecode()
    bytecode.load(memoryview(kept))
    return bytecode


def compile_source(source: bytes, path: str) -> CodeType:
    return compile(source, path, "exec", dont_inherit=True)


def test_the_next_start_compiles_neither_modules_nor_the_methods_of_dataclasses_and_named_tuples(tmp_path: Path) -> None:
    (tmp_path / "pointed.py").write_text(SOURCE)
    first = Bytecode()
    imported(first, tmp_path, "pointed")
    assert first.compiled_count > 2
    second = loaded(first.dump())
    module = imported(second, tmp_path, "pointed")
    assert second.compiled_count == 0
    assert (repr(module.Point(1, 2)), module.Point(1, 2) == module.Point(1, 2)) == ("Point(x=1, y=2)", True)
    assert repr(module.Pair(1, 2)) == "Pair(left=1, right=2)"
    assert module.__file__ == str(tmp_path / "pointed.py")


def test_a_changed_source_is_compiled_anew_with_all_that_it_executes(tmp_path: Path) -> None:
    (tmp_path / "pointed.py").write_text(SOURCE)
    first = Bytecode()
    imported(first, tmp_path, "pointed")
    (tmp_path / "pointed.py").write_text(SOURCE.replace("y: int", "y: int = 7"))
    second = loaded(first.dump())
    assert repr(imported(second, tmp_path, "pointed").Point(1)) == "Point(x=1, y=7)"
    assert second.compiled_count == first.compiled_count


def test_what_has_no_source_any_more_is_not_kept(tmp_path: Path) -> None:
    bytecode = Bytecode()
    for name in ("stays.py", "goes.py"):
        (tmp_path / name).write_text("")
        bytecode.module(str(tmp_path / name), b"", compile_source)
    (tmp_path / "goes.py").unlink()
    kept = bytecode.dump()
    assert (b"stays.py" in kept, b"goes.py" in kept) == (True, False)


def test_a_class_that_a_request_makes_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "pointed.py").write_text(SOURCE)
    bytecode = Bytecode()
    imported(bytecode, tmp_path, "pointed")
    before = bytecode.compiled_count
    dataclasses.dataclass(type("Made", (), {"__annotations__": {"a": int}, "__module__": "pointed"}))
    collections.namedtuple("Made", ["a"], module="pointed")  # noqa: PYI024 - what the typed form calls
    assert bytecode.compiled_count == before


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda kept: b"", id="empty"),
        pytest.param(lambda kept: kept[:-1], id="cut off"),
        pytest.param(lambda kept: kept[:40] + bytes([kept[40] ^ 1]) + kept[41:], id="one bit"),
        pytest.param(lambda kept: b"\x00" * 4 + kept[4:], id="another Python's"),
    ],
)
def test_damaged_bytecode_is_refused(tmp_path: Path, damage: object) -> None:
    bytecode = Bytecode()
    bytecode.module(str(tmp_path), b"a = 1", compile_source)
    with pytest.raises(ValueError, match="damaged, or of another Python"):
        loaded(damage(bytecode.dump()))  # type: ignore[operator]


def test_a_fault_in_a_source_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "faulty.py").write_text("a = 1\nb = = 2\n")
    with pytest.raises(SyntaxError) as failure:
        imported(Bytecode(), tmp_path, "faulty")
    assert (failure.value.filename, failure.value.lineno) == (str(tmp_path / "faulty.py"), 2)
