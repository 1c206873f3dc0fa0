"""The secret by which vinext knows a visitor in draft mode, read from the code of a built Worker.

vinext makes a new one for each build, and writes it nowhere else. Its digest is enough for the Worker to know the cookie, and
gives nobody the secret.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_TEXT = r"""([`"'])([\w-]{16,64})\1"""
# App Router: an option, by the name of the constant that holds it, or as it is. Pages Router: the first of the credentials.
_NAMED = re.compile(r"\bdraftModeSecret\s*:\s*([A-Za-z_$][\w$]*)\s*[,}]")
_GIVEN = re.compile(rf"\b(?:draftModeSecret|bypassId)\s*[:=]\s*{_TEXT}")


def draft_digest(folders: Iterable[Path]) -> str:
    """Return the SHA-256 of the secret, in hexadecimal digits; "" if the code of the Worker has none, or more than one."""
    secrets: set[str] = set()
    for folder in dict.fromkeys(folders):
        for file in folder.rglob("*.js"):
            secrets.update(_secrets(file.read_text(encoding="utf-8", errors="replace")))
    if len(secrets) != 1:
        return ""
    return hashlib.sha256(secrets.pop().encode()).hexdigest()


def _secrets(code: str) -> Iterator[str]:
    for name in set(_NAMED.findall(code)):
        for match in re.finditer(rf"(?<![\w$.]){re.escape(name)}\s*=\s*{_TEXT}", code):
            yield match[2]
    for match in _GIVEN.finditer(code):
        yield match[2]
