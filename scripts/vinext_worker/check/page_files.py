"""The files that a page needs, and whether their answers will do. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from html.parser import HTMLParser
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Scripts that only other scripts name.
_CHUNK = re.compile(r"""["'`](/[^"'`\s<>\\]*_next/static/[^"'`\s<>?\\]+\.(?:js|css))["'`\\?]""")


class FileKind(StrEnum):
    """What a browser uses a file as."""

    SCRIPT = "script"
    STYLE = "style"
    IMAGE = "image"
    FONT = "font"


_TYPES = {
    FileKind.SCRIPT: ("text/javascript", "application/javascript", "application/x-javascript"),
    FileKind.STYLE: ("text/css",),
    FileKind.IMAGE: ("image/",),
    FileKind.FONT: ("font/", "application/"),
}
_BY_DESTINATION = {kind.value: kind for kind in FileKind}
_BY_RELATION = {
    "stylesheet": FileKind.STYLE,
    "modulepreload": FileKind.SCRIPT,
    "icon": FileKind.IMAGE,
    "apple-touch-icon": FileKind.IMAGE,
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file of the site: `target` is its path and query."""

    target: str
    kind: FileKind


def files_of(html: str, url: str) -> set[PageFile]:
    """Return the files that a page at a URL needs and that come from its own origin."""
    finder = _Finder(url)
    finder.feed(html)
    finder.close()
    return finder.files


def file_faults(file: PageFile, status: int, headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return why a browser could not use the answer for a file."""
    if status != HTTPStatus.OK:
        return (f"status {status}, expected 200",)
    content_type = (headers.get("Content-Type") or "").lower()
    if not content_type.startswith(_TYPES[file.kind]):
        return (f"Content-Type is {content_type or 'missing'}, which is no {file.kind.value}'s",)
    return ()


class _Finder(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self._origin = urlsplit(url)[:2]
        self._base = url
        self.files: set[PageFile] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value}
        if tag == "base" and "href" in given:
            self._base = urljoin(self._base, given["href"])
        elif tag == "script":
            self._add(FileKind.SCRIPT, given.get("src"))
        elif tag in {"img", "source"}:
            # The source of a video or of sound has no `srcset`.
            self._add(FileKind.IMAGE, given.get("src") if tag == "img" else None, *_candidates(given.get("srcset")))
        elif tag == "link":
            self._add_link(given)

    def handle_data(self, data: str) -> None:
        for match in _CHUNK.finditer(data):
            self._add(FileKind.STYLE if match[1].endswith(".css") else FileKind.SCRIPT, match[1])

    def _add_link(self, given: Mapping[str, str]) -> None:
        relations = given.get("rel", "").lower().split()
        kind = next((_BY_RELATION[relation] for relation in relations if relation in _BY_RELATION), None)
        if "preload" in relations:
            kind = _BY_DESTINATION.get(given.get("as", ""), kind)
        if kind is not None:
            self._add(kind, given.get("href"), *_candidates(given.get("imagesrcset")))

    def _add(self, kind: FileKind, *urls: str | None) -> None:
        for url in filter(None, urls):
            try:
                parts = urlsplit(urljoin(self._base, url.strip()))
            except ValueError:
                continue
            if parts[:2] == self._origin:
                self.files.add(PageFile(f"{parts.path}?{parts.query}" if parts.query else parts.path, kind))


def _candidates(srcset: str | None) -> Iterator[str]:
    """Yield the URLs of a `srcset`; a comma ends one only before a space (HTML, 4.8.4.2.1)."""
    for candidate in re.split(r",\s+", srcset or ""):
        yield from candidate.split()[:1]
