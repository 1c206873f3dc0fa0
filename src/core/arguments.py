"""Checks of callers' arguments; each raises InvalidArgumentError."""

from __future__ import annotations

import math
from collections.abc import Iterable

from core.errors import InvalidArgumentError


def require_key(key: object) -> None:
    """Check the key of an entry."""
    if not isinstance(key, str) or not key:
        raise InvalidArgumentError("key", key, "a string that is not empty")


def require_tags(argument: str, tags: object) -> tuple[str, ...]:
    """Return the tags as a tuple; one string is one tag."""
    if isinstance(tags, str):
        return (tags,)
    names = tuple(tags) if isinstance(tags, Iterable) and not isinstance(tags, bytes) else None
    if names is None or not all(isinstance(tag, str) for tag in names):
        raise InvalidArgumentError(argument, tags if names is None else names, "strings")
    return names


def require_period(argument: str, seconds: object, *, may_be_false: bool = False) -> None:
    """Check a period: seconds from 0 on, None or infinity for no limit."""
    if seconds is None or (may_be_false and seconds is False):
        return
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds >= 0:
        allowed = "seconds from 0 on, or None"
        raise InvalidArgumentError(argument, seconds, f"{allowed}, or False" if may_be_false else allowed)


def require_milliseconds(argument: str, milliseconds: object) -> None:
    """Check a time in epoch milliseconds."""
    if (
        isinstance(milliseconds, bool)
        or not isinstance(milliseconds, (int, float))
        or not math.isfinite(milliseconds)
        or milliseconds < 0
    ):
        raise InvalidArgumentError(argument, milliseconds, "epoch milliseconds")


def require_flag(argument: str, flag: object) -> None:
    """Check that an argument is True or False."""
    if not isinstance(flag, bool):
        raise InvalidArgumentError(argument, flag, "True or False")


def require_count(argument: str, count: object, *, minimum: int = 0) -> None:
    """Check a size, or a duration in milliseconds."""
    if isinstance(count, bool) or not isinstance(count, int) or count < minimum:
        raise InvalidArgumentError(argument, count, f"a whole number from {minimum} on")


def require_text(argument: str, value: object) -> None:
    """Check that an argument is a string."""
    if not isinstance(value, str):
        raise InvalidArgumentError(argument, value, "a string")
