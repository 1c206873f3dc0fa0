"""A manifest on disk, read row by row, so that a large site takes no more memory than a small one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from seed.build import ManifestError, Skipped
from seed.manifest import parse_head, parse_route

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO

    from cache.keys import KeySchema
    from seed.manifest import ManifestHead, Route

_CHUNK_CHARACTERS = 1 << 16

_BLANK = " \t\r\n"
_AFTER_VALUE = frozenset((*_BLANK, ",", ":", "]", "}"))

_LIST = object()
_NO_LIST = object()
_ROW = object()

_decoder = json.JSONDecoder()


class ManifestFile:
    """`vinext-prerender.json` on disk. The constructor reads the file once, to check it as a whole.

    It raises ManifestError for a file that is no JSON object, ends too early, or has no build ID or no list of routes.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            self.built_at_ms = file.stat().st_mtime_ns // 1_000_000
            members: dict[str, object] = {}
            self.rows = 0
            has_rows = False
            for name, value in _members(file):
                if name == "routes":
                    has_rows = value is not _NO_LIST
                    self.rows += value is _ROW
                elif name in {"buildId", "trailingSlash"}:
                    members[name] = value
                else:
                    members[name] = None
        except OSError as error:
            raise ManifestError(f"{file} cannot be read ({error.strerror}); build the site again") from error
        except UnicodeDecodeError as error:
            raise ManifestError(f"{file} is not UTF-8; build the site again") from error
        self.head: ManifestHead = parse_head(members, str(file), has_rows=has_rows)

    @property
    def schema(self) -> KeySchema:
        return self.head.schema

    def routes(self) -> Iterator[Route | Skipped]:
        """Yield every row, in order, with a Skipped for a row that cannot be read."""
        number = -1
        for name, value in _members(self.file, rows=True):
            if name != "routes" or value is _LIST:
                continue
            number += 1
            try:
                yield parse_route(value)
            except ManifestError as error:
                yield Skipped("", f"route {number} of {self.file.name}: {error}")


def _members(file: Path, *, rows: bool = False) -> Iterator[tuple[str, object]]:
    """Yield the members of the top object. `routes` comes as `_LIST`, then once a row: as `_ROW`, or with `rows` as it is."""
    with file.open(encoding="utf-8") as opened:
        text = _Text(opened, str(file))
        text.expect("{")
        if text.peek() == "}":
            return
        while True:
            name = text.value()
            text.expect(":")
            if name == "routes" and text.peek() == "[":
                yield "routes", _LIST
                for row in text.items():
                    yield "routes", row if rows else _ROW
            elif name == "routes":
                text.value()
                yield "routes", _NO_LIST
            else:
                yield str(name), text.value()
            if text.expect(",}") == "}":
                return


class _Text:
    """JSON text that is partly in memory, and read value by value."""

    def __init__(self, opened: TextIO, where: str) -> None:
        self._opened = opened
        self._where = where
        self._text = ""
        self._at = 0

    def peek(self) -> str:
        """Return the next character that is not blank."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _BLANK:
                    return self._text[self._at]
                self._at += 1
            if not self._more():
                raise ManifestError(f"{self._where} is not JSON (it ends too early); build the site again")

    def expect(self, characters: str) -> str:
        character = self.peek()
        if character not in characters:
            raise ManifestError(f"{self._where} is not JSON ({character!r} instead of {characters!r}); build the site again")
        self._at += 1
        return character

    def items(self) -> Iterator[object]:
        self.expect("[")
        if self.peek() == "]":
            self._at += 1
            return
        while True:
            yield self.value()
            if self.expect(",]") == "]":
                return

    def value(self) -> object:
        self.peek()
        while True:
            try:
                value, end = _decoder.raw_decode(self._text, self._at)
            except ValueError as error:
                if self._more():
                    continue
                raise ManifestError(f"{self._where} is not JSON ({error}); build the site again") from error
            except RecursionError as error:
                raise ManifestError(f"{self._where} is not JSON ({error}); build the site again") from error
            # A number may go on in the part that has not been read yet, such as `-12.5` after its point.
            if self._text[end : end + 1] not in _AFTER_VALUE and self._more():
                continue
            self._at = end
            return value

    def _more(self) -> bool:
        """Read on, and more each time that a value has not ended, so that a long one is not tried too often."""
        rest = self._text[self._at :]
        read = self._opened.read(max(_CHUNK_CHARACTERS, len(rest)))
        self._text, self._at = rest + read, 0
        return bool(read)
