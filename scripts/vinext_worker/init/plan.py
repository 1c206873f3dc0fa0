"""What will change in a project: shown before anything is written, then written as a whole or not at all."""

from __future__ import annotations

import codecs
import difflib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vinext_worker.errors import UserError
from vinext_worker.sites.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Problem:
    """Something that has to be changed by hand, with the place."""

    path: Path
    line: int
    message: str


@dataclass
class Plan:
    """The new contents of files below `root`; nothing is written before `apply`."""

    root: Path
    notes: list[str] = field(default_factory=list)
    """What the user should know besides."""
    problems: list[Problem] = field(default_factory=list)
    """What stands in the way. With one, the plan must not be applied."""
    _contents: dict[Path, bytes | None] = field(default_factory=dict)

    def read(self, path: Path) -> str | None:
        """Return a file's text as it will be, None if there will be no such file; raise UserError if it is no text."""
        content = self._contents[path] if path in self._contents else _content(path)
        if content is None:
            return None
        if content.startswith(codecs.BOM_UTF8):
            raise UserError(f"{path} begins with a byte order mark; save it as UTF-8 without one")
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"{path} is not in UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from error

    def write(self, path: Path, content: str | bytes) -> None:
        """Give a file a new content."""
        self._contents[path] = content.encode() if isinstance(content, str) else content

    def remove(self, path: Path) -> None:
        """Remove a file, if it is there."""
        self._contents[path] = None

    def problem(self, path: Path, message: str, line: int = 1) -> None:
        """Note what has to be changed by hand."""
        self.problems.append(Problem(path, line, message))

    @property
    def changed(self) -> list[Path]:
        """The files that will be other than they are, in order."""
        return sorted(path for path, content in self._contents.items() if content != _content(path))

    def diff(self) -> Iterator[str]:
        """Yield the lines of a unified diff."""
        for path in self.changed:
            before, after = _content(path), self._contents[path]
            name = path.relative_to(self.root).as_posix()
            names = (f"a/{name}" if before is not None else "/dev/null", f"b/{name}" if after is not None else "/dev/null")
            if _is_binary(before) or _is_binary(after):
                yield f"--- {names[0]}"
                yield f"+++ {names[1]}"
                yield f"(binary, {len(after or b'')} bytes)"
                continue
            for line in difflib.unified_diff(_lines(before), _lines(after), *names, lineterm=""):
                yield line.removesuffix("\n")
                if line[0] in "+- " and line[:3] not in {"---", "+++"} and not line.endswith("\n"):
                    yield "\\ No newline at end of file"

    def apply(self) -> None:
        """Write everything. If a file cannot be written, put back those before it and raise UserError."""
        done: list[tuple[Path, bytes | None]] = []
        path = self.root
        try:
            for path in self.changed:
                before = _content(path)
                _put(path, self._contents[path])
                done.append((path, before))
        except OSError as error:
            for written, before in reversed(done):
                _put(written, before)
            raise UserError(f"{path} cannot be written ({error.strerror}), so nothing was changed; make it writable") from error


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _put(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink(missing_ok=True)
        return
    mode = path.stat().st_mode if path.exists() else None
    # A link stays one, and what it points to gets the content.
    target = path.resolve()
    write_atomically(target, content)
    if mode is not None:
        os.chmod(target, mode & 0o7777)  # noqa: PTH101 - beside write_atomically, which does the same


def _is_binary(content: bytes | None) -> bool:
    return content is not None and b"\0" in content


def _lines(content: bytes | None) -> list[str]:
    return [] if content is None else content.decode("utf-8", "replace").splitlines(keepends=True)
