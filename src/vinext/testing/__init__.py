"""What every cache handler does, for the tests of one's own: `RULES`, and `obeys` to try one of them under CPython.

`docs/own-cache-handlers.md` has an example. Nothing here is imported by the Worker.
"""

from __future__ import annotations

from vinext.testing.ports import FakeBackground, FakeClock, FakeLog
from vinext.testing.rules import NEEDS_CLOCK, RULES, VALUES, Rule, Subject
from vinext.testing.subject import HandlerSubject, obeys

__all__ = [
    "NEEDS_CLOCK",
    "RULES",
    "VALUES",
    "FakeBackground",
    "FakeClock",
    "FakeLog",
    "HandlerSubject",
    "Rule",
    "Subject",
    "obeys",
]
