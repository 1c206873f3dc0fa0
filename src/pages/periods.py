"""The periods and tags that page authors write, checked where they write them."""

from __future__ import annotations

from typing import Literal, TypeAlias

from cache.arguments import require_period, require_tags
from cache.errors import InvalidArgumentError
from cache.tags import is_valid_tag

Revalidate: TypeAlias = "float | Literal[False] | None"


def require_periods(where: str, revalidate: Revalidate, expire: float | None) -> None:
    """Raise InvalidArgumentError, naming `where`, for a period that is none."""
    require_period(f"{where}.revalidate", revalidate, may_be_false=True)
    require_period(f"{where}.expire", expire)
    if expire is not None and revalidate is not None and revalidate is not False and expire < revalidate:
        raise InvalidArgumentError(f"{where}.expire", expire, f"no less than revalidate, which is {revalidate}")


def require_valid_tags(where: str, tags: object) -> tuple[str, ...]:
    """The tags as a tuple; raises InvalidArgumentError, naming `where`, for one that no cache takes."""
    found = require_tags(f"{where}.tags", tags)
    for tag in found:
        if not is_valid_tag(tag):
            allowed = r"1 to 256 characters without control characters, \ and :"
            raise InvalidArgumentError(f"{where}.tags", tag, allowed)
    return found
