"""Keeps what the imports have compiled for the next start: runs inside Pyodide, before the project's code.

In production the imports are part of the heap's snapshot; here compiling would be most of a start. As with the checked hash-based
files of PEP 552, a module's source is read and hashed first, and compiled where the hash is another than that of what was kept.
"""

from __future__ import annotations

import builtins
import collections
import dataclasses
import marshal
import sys
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from importlib.util import MAGIC_NUMBER, source_hash
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zipimport import zipimporter

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.abc import PathEntryFinder
    from types import CodeType, FrameType

    # The hash of a module's source, its code, and the code of the texts that were executed in it. A tuple, as `marshal` wants it.
    Compiled = tuple[bytes, CodeType, dict[str, CodeType]]

_HASH_BYTES = 8
_STANDARD_LIBRARY = str(Path(dataclasses.__file__).parent)


class Bytecode:
    """Compiled modules by the path of their source."""

    def __init__(self) -> None:
        self._modules: dict[str, Compiled] = {}
        self.compiled_count = 0
        """How many modules and texts had to be compiled."""

    def load(self, kept: memoryview) -> None:
        """Take up what `dump` returned in an earlier start; raises ValueError where these are other bytes."""
        start = len(MAGIC_NUMBER) + _HASH_BYTES
        content = kept[start:]
        # Damaged bytecode would not fail: it would do anything.
        if kept[:start] != MAGIC_NUMBER + source_hash(content):
            raise ValueError("the file is damaged, or of another Python")
        self._modules = marshal.loads(content)  # noqa: S302 - checked just now

    def dump(self) -> bytes:
        """Everything loaded and compiled, for the next start, but what has no source any more."""
        content = marshal.dumps({path: module for path, module in self._modules.items() if _exists(path)})
        return MAGIC_NUMBER + source_hash(content) + content

    def module(self, path: str, source: bytes, compile_source: Callable[[bytes, str], CodeType]) -> CodeType:
        """The code of a module, compiled only where none was made from this very source."""
        key = source_hash(source)
        known = self._modules.get(path)
        if known is not None and known[0] == key:
            return known[1]
        code = compile_source(source, path)
        self._modules[path] = key, code, {}
        self.compiled_count += 1
        return code

    def text(self, text: str, mode: Literal["exec", "eval"]) -> CodeType:
        """The code of a text that is executed while a module is imported, kept for as long as that module's is."""
        path = self._importing()
        texts = self._modules[path][2] if path is not None else {}
        if text not in texts:
            texts[text] = compile(text, "<string>", mode, dont_inherit=True)
            self.compiled_count += 1
        return texts[text]

    def install(self, root: str) -> None:
        """Import by way of this what lies under a folder, which nothing was imported from yet, and the standard library."""
        bytecode = self

        class Loader(SourceFileLoader):
            def get_code(self, fullname: str) -> CodeType:
                path = self.get_filename(fullname)
                return bytecode.module(path, self.get_data(path), self.source_to_code)

        class LibraryLoader(zipimporter):
            def get_code(self, fullname: str) -> CodeType:
                path = f"{self.archive}/{self.prefix}{fullname.rpartition('.')[2]}.py"
                # No source to compare: what is kept belongs to one release of Pyodide, and so does the archive.
                return bytecode.module(path, b"", lambda _source, _path: zipimporter.get_code(self, fullname))

        find = FileFinder.path_hook((ExtensionFileLoader, EXTENSION_SUFFIXES), (Loader, SOURCE_SUFFIXES))

        def hook(path: str) -> PathEntryFinder | zipimporter:
            if _is_within(path, root):
                return find(path)
            if _is_within(path, _STANDARD_LIBRARY):
                return LibraryLoader(path)
            raise ImportError(path)

        def execute(text: str, names: dict[str, Any], local_names: dict[str, Any]) -> None:
            builtins.exec(bytecode.text(text, "exec"), names, local_names)  # noqa: S102 - as `dataclasses` does

        def evaluate(text: str, names: dict[str, Any]) -> object:
            return builtins.eval(bytecode.text(text, "eval"), names)  # noqa: S307 - as `namedtuple` does

        sys.path_hooks.insert(0, hook)
        for path in [path for path in sys.path_importer_cache if _is_within(path, _STANDARD_LIBRARY)]:
            del sys.path_importer_cache[path]
        # The methods of a dataclass are compiled from text, and take longer than the modules themselves.
        dataclasses.exec = execute  # type: ignore[attr-defined]
        collections.eval = evaluate  # type: ignore[attr-defined]

    def finish(self) -> None:
        """End of the imports. What is executed in a request may be another text each time, so it is not kept."""
        del dataclasses.exec, collections.eval  # type: ignore[attr-defined]
        if self.compiled_count == 0:
            self._modules = {}

    def _importing(self) -> str | None:
        """The path of the module whose top level runs, the innermost of them."""
        frame: FrameType | None = sys._getframe()  # noqa: SLF001 - as `namedtuple` itself finds the module
        while frame is not None and frame.f_code.co_filename not in self._modules:
            frame = frame.f_back
        return None if frame is None else frame.f_code.co_filename


def _exists(path: str) -> bool:
    return _is_within(path, _STANDARD_LIBRARY) or Path(path).exists()


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
