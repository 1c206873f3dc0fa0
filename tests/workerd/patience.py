from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_SECONDS = 120
_PAUSE_SECONDS = 0.02


def eventually(find: Callable[[], T], is_it: Callable[[T], object] = bool) -> T:
    """Look until what is found is what is waited for, and return it. Raises AssertionError with what was found last."""
    deadline = time.monotonic() + _SECONDS
    while True:
        found = find()
        if is_it(found):
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {_SECONDS} s; last was {found!r}")
        time.sleep(_PAUSE_SECONDS)
