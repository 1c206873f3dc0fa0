"""The variants of a page, kept side by side: answers that vary by headers of the request (RFC 9111, 4.1).

The key of a page holds one of them, whichever came first; the others have keys of their own. Each says in a stored header for
which values of the named headers it was made, and answers no other request.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from core.http import CREDENTIAL_HEADERS
from core.recent import Recent
from pages.request import NOT_FOR_KEPT_ANSWERS

if TYPE_CHECKING:
    from collections.abc import Collection

    from core.runtime import Clock
    from pages.request import HeaderItems, Headers

SELECTED_HEADER = "x-vinext-selected"
"""The stored header that says for which values an entry was made; no answer has it."""

REPLACED_AFTER_MS = 60_000
"""How long a variant that nobody asks for keeps its place from another one."""

_MAX_NAMES = 8

_MAX_CHARACTERS = 256

# Of these an answer has too many values, or the cache lets no visitor's through to what others see.
_UNSELECTABLE = frozenset({"*", "host", "rsc", "upgrade", *CREDENTIAL_HEADERS, *NOT_FOR_KEPT_ANSWERS})

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")

_WEIGHT = re.compile(r";\s*q=([01](?:\.\d{0,3})?)\s*$")

Selection: TypeAlias = "HeaderItems"
"""Names in lower case and normalized values, "" where the request does not have the header; sorted by name."""


@dataclass(frozen=True)
class VariantRules:
    """How many variants of a page are kept, and the languages that the site has (empty: not known)."""

    limit: int
    languages: tuple[str, ...] = ()

    def allow(self, names: tuple[str, ...]) -> bool:
        """Return whether answers that vary by these headers may be kept."""
        if self.limit == 0 or len(names) > _MAX_NAMES:
            return False
        return _UNSELECTABLE.isdisjoint(names) and all(map(_NAME.fullmatch, names))

    def selection(self, names: Collection[str], headers: Headers) -> Selection | None:
        """Return what a request selects by some headers.

        None if no request selects the same: `*` is among them, or a value is so long that nobody else will send it. Nor is an
        empty value told from none, while an app may tell them.
        """
        if "*" in names or not all(map(_NAME.fullmatch, names)) or any(headers.get(name) == "" for name in names):
            return None
        selected = tuple((name, self.normalized(name, headers.get(name) or "")) for name in sorted(set(names)))
        return None if any(len(value) > _MAX_CHARACTERS for _, value in selected) else selected

    def normalized(self, name: str, value: str) -> str:
        """Return one value for all that ask for the same; what a page is made from has it too."""
        if name == "accept-language":
            return best_language(value, self.languages) if self.languages else "".join(value.lower().split())
        return "".join(value.lower().split()) if name == "accept" else " ".join(value.split())


def best_language(accept_language: str, languages: tuple[str, ...]) -> str:
    """Return the language of a site that suits a visitor best, "" if none does (the lookup of RFC 4647, 3.4)."""
    known = {language.lower(): language for language in languages}
    for wanted in _by_weight(accept_language):
        if wanted == "*":
            return languages[0]
        subtags = wanted.split("-")
        for end in range(len(subtags), 0, -1):
            found = known.get("-".join(subtags[:end]))
            if found is not None:
                return found
    return ""


def _by_weight(accept_language: str) -> list[str]:
    weighted = []
    for part in accept_language.lower().split(","):
        weight = _WEIGHT.search(part)
        weighted.append((part.partition(";")[0].strip(), float(weight[1]) if weight else 1.0))
    return [language for language, weight in sorted(weighted, key=lambda item: -item[1]) if language and weight > 0]


def selection_text(selected: Selection) -> str:
    """Write a selection as the value of SELECTED_HEADER."""
    return json.dumps(dict(selected), separators=(",", ":"))


@lru_cache
def read_selection(text: str) -> Selection:
    """Read SELECTED_HEADER. What is none of ours selects nothing that a request could have."""
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        return (("*", text),)
    return tuple(sorted(given.items()))


def variant_of(selected: Selection) -> str:
    """Return what follows the artifact in the key of a variant."""
    return f":vary:{hashlib.sha256(selection_text(selected).encode()).hexdigest()[:16]}"


class Places:
    """The variants that an isolate keeps of each page, at most so many. Values that nobody else sends get no place.

    While there is room, the first to ask for a variant gets a place for it. Then only the second does, where another one has
    not been asked for in the last minute.
    """

    def __init__(self, limit: int, clock: Clock) -> None:
        # The page's own key holds one of the variants.
        self._others = limit - 1
        self._clock = clock
        self._used_at_ms: Recent[str, dict[str, int]] = Recent(fact_bytes=lambda key, _: len(key) + limit * 150)
        self._asked: Recent[tuple[str, str], None] = Recent()

    def take(self, page: str, variant: str) -> bool:
        """Return whether a variant of a page has a place, or gets one; it has been used then."""
        used = self._used_at_ms.get(page)
        if used is None:
            used = self._used_at_ms[page] = {}
        if not self.has_room(page, variant):
            if used and (page, variant) not in self._asked:
                self._asked[page, variant] = None
            return False
        if variant not in used and len(used) >= self._others:
            del used[min(used, key=used.__getitem__)]
            self._asked.pop((page, variant), None)
        used[variant] = self._clock()
        return True

    def has_room(self, page: str, variant: str) -> bool:
        """Return whether `take` would return True now; nothing changes."""
        used = self._used_at_ms.get(page) or {}
        if variant in used or len(used) < self._others:
            return True
        if not used or (page, variant) not in self._asked:
            return False
        return self._clock() - min(used.values()) >= REPLACED_AFTER_MS
