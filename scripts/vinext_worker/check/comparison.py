"""How an answer differs from the app's own, behind the Worker. No I/O.

Two renders of a page are never the same bytes. So the visible text, the links and the head are compared, and of them not the
times, the IDs and the nonces.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import zip_longest
from typing import TYPE_CHECKING

from core.http import STALE_TIME_HEADER
from seed.build import Artifact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_COMPARED = (
    "content-disposition",
    "content-language",
    "content-security-policy",
    "content-security-policy-report-only",
    "content-type",
    "link",
    "location",
    "permissions-policy",
    "referrer-policy",
    "strict-transport-security",
    "x-content-type-options",
    "x-frame-options",
    "x-robots-tag",
)

_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*"
_CLOCK = r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?[AaPp]\.?[Mm]\.?)?"
_ZONE = r"(?: ?(?:Z|GMT|UTC)?(?:[+-]\d\d:?\d\d)?)?(?: \([^)]*\))?"
_CHANGING = (
    (re.compile(r"nonce-[\w+/=-]+"), "(nonce)"),
    (re.compile(r"(?<=/_next/static/)[^\s\"'<>;,]+"), "(file)"),
    (re.compile(rf"\d{{4}}-\d\d-\d\d(?:[T ]{_CLOCK}{_ZONE})?"), "(time)"),
    (re.compile(rf"(?:{_DAY},? )?(?:\d{{1,2}} {_MONTH}|{_MONTH} \d{{1,2}}),? \d{{4}}(?:,? {_CLOCK}{_ZONE})?"), "(time)"),
    (re.compile(rf"(?:\d{{1,2}}[./]\d{{1,2}}[./]\d{{4}},? )?\b{_CLOCK}{_ZONE}"), "(time)"),
    (re.compile(r"\b1[6-9]\d{8}(?:\.\d+|\d{3})?\b"), "(time)"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE), "(id)"),
    (re.compile(r"\b(?=[a-f]*\d)[0-9a-f]{16,}\b", re.IGNORECASE), "(id)"),
)
_MAX_SHOWN = 80


@dataclass(frozen=True)
class AnswerGiven:
    """An answer with its whole body. `headers` looks names up regardless of case; `cookies` are the names of those it sets."""

    status: int
    headers: Mapping[str, str]
    cookies: frozenset[str]
    body: str


@dataclass(frozen=True)
class Comparison:
    """Compares answers; `ignored` is what else changes from one render to the next, by patterns of a person."""

    ignored: tuple[re.Pattern[str], ...] = ()

    def differences(
        self, artifact: Artifact, ours: AnswerGiven, theirs: AnswerGiven, header_names: Iterable[str] = ()
    ) -> tuple[str, ...]:
        """Return how our answer for a page differs from the app's own. `header_names` are compared beside the usual ones.

        The body of an RSC payload is not compared: its rows have another order in each render.
        """
        if ours.status != theirs.status:
            return (f"status {ours.status}, but the app's own is {theirs.status}",)
        reasons = list(self._headers(ours, theirs, header_names))
        if ours.cookies != theirs.cookies:
            reasons.append(f"it sets the cookies {_names(ours.cookies)}, the app's own answer {_names(theirs.cookies)}")
        if artifact is not Artifact.RSC:
            as_tokens = tokens_of if artifact is Artifact.HTML else str.splitlines
            reasons += self._first_difference(as_tokens(ours.body), as_tokens(theirs.body))
        return tuple(reasons)

    def _headers(self, ours: AnswerGiven, theirs: AnswerGiven, header_names: Iterable[str]) -> Iterable[str]:
        for name in dict.fromkeys((*_COMPARED, *(given.lower() for given in header_names))):
            if name == STALE_TIME_HEADER:
                continue
            here, there = ours.headers.get(name), theirs.headers.get(name)
            if self._constant(here or "") != self._constant(there or ""):
                yield f"{name} is {_shown(here)}, but the app's own is {_shown(there)}"
        # The app itself sends it only once it knows how the render ended.
        there = theirs.headers.get(STALE_TIME_HEADER)
        if there is not None and ours.headers.get(STALE_TIME_HEADER) != there:
            yield f"{STALE_TIME_HEADER} is {_shown(ours.headers.get(STALE_TIME_HEADER))}, but the app's own is {there!r}"

    def _first_difference(self, ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
        for here, there in zip_longest(map(self._constant, ours), map(self._constant, theirs)):
            if here != there:
                return [f"the body has {_shown(here, 'nothing')} where the app's own has {_shown(there, 'nothing')}"]
        return []

    def _constant(self, text: str) -> str:
        """Return a text without what changes from one render to the next."""
        for pattern in self.ignored:
            text = pattern.sub("", text)
        for pattern, name in _CHANGING:
            text = pattern.sub(name, text)
        return " ".join(text.split())


def _shown(text: str | None, absent: str = "missing") -> str:
    if text is None:
        return absent
    return repr(text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…")


def _names(cookies: frozenset[str]) -> str:
    return ", ".join(sorted(cookies)) or "(none)"


def tokens_of(html: str) -> list[str]:
    """Return what a visitor sees of a page, in order: text, links, images and the head's facts.

    Parts that React streamed later (`<div hidden id="S:0">`) stand where React's script puts them.
    """
    reader = _Reader()
    reader.feed(html)
    reader.close()
    reader.end_text()
    return list(_resolved(reader.document, reader.parts))


@dataclass
class _Part:
    """A part of a document: its tokens, and the parts that come later, with what a visitor sees until then."""

    tokens: list[str | _Later] = field(default_factory=list)
    depth: int = 0


@dataclass
class _Later:
    part: str
    meanwhile: list[str | _Later]


def _resolved(tokens: Iterable[str | _Later], parts: Mapping[str, _Part]) -> Iterable[str]:
    for token in tokens:
        if isinstance(token, str):
            yield token
        else:
            part = parts.get(token.part)
            yield from _resolved(token.meanwhile if part is None else part.tokens, parts)


# Of Suspense, in comments. React's other comments only part texts.
_BOUNDARY_END = "/$"
_BOUNDARIES = frozenset({"$", "$?", "$!", "$~", _BOUNDARY_END})
_UNSEEN = frozenset({"script", "style", "template", "noscript"})
_SHOWN_ATTRIBUTES = {"a": ("href",), "img": ("src", "alt"), "meta": ("name", "property", "content"), "input": ("name", "value")}
_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: dict[str, _Part] = {}
        self._open_parts = [_Part()]
        self.document = self._open_parts[0].tokens
        # Where tokens go: into a part, or into what is seen until a later part comes.
        self._targets: list[list[str | _Later]] = [self.document]
        self._text = ""
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.end_text()
        given = dict(attrs)
        name = given.get("id") or ""
        if tag == "template" and name[:2] in {"B:", "P:"}:
            later = _Later(name[2:], [])
            self._targets[-1].append(later)
            if name.startswith("B:"):
                self._targets.append(later.meanwhile)
        elif "hidden" in given and name.startswith("S:"):
            part = self.parts[name[2:]] = _Part()
            self._open_parts.append(part)
            self._targets.append(part.tokens)
        if tag not in _VOID:
            self._open_parts[-1].depth += 1
            self._unseen += tag in _UNSEEN
        shown = [f"{key}={given[key]}" for key in _SHOWN_ATTRIBUTES.get(tag, ()) if given.get(key)]
        if shown:
            self._targets[-1].append(" ".join((tag, *shown)))

    def handle_endtag(self, tag: str) -> None:
        self.end_text()
        if tag in _VOID:
            return
        self._unseen -= tag in _UNSEEN
        part = self._open_parts[-1]
        part.depth -= 1
        if part.depth == 0 and len(self._open_parts) > 1:
            self._open_parts.pop()
            self._targets.pop()

    def handle_comment(self, data: str) -> None:
        if data not in _BOUNDARIES:
            return
        self.end_text()
        # The boundary is one that waits if its template has opened a target.
        if data == _BOUNDARY_END and len(self._targets) > len(self._open_parts):
            self._targets.pop()

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self._text += data

    def end_text(self) -> None:
        """Put the text since the last tag in its place."""
        text, self._text = " ".join(self._text.split()), ""
        if text:
            self._targets[-1].append(text)
