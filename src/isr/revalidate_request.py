from __future__ import annotations

from typing import TYPE_CHECKING

from cache.body import parse_json
from cache.errors import CacheError
from cache.frozen import frozen
from cache.keys import normalize_path
from cache.tags import is_valid_tag, merge_tags, revalidate_path_tag

if TYPE_CHECKING:
    from typing import Literal

MOST_NAMES = 1000
_FIELDS = ("tags", "paths", "prefixes")
_TYPES: tuple[Literal["page", "layout"], ...] = ("page", "layout")


@frozen
class RevalidateRequest:
    """What is to be invalidated; the paths are among the tags already, as Next.js's `revalidatePath` has them."""

    tags: tuple[str, ...]
    prefixes: tuple[str, ...]

    @classmethod
    def parse(cls, body: bytes) -> RevalidateRequest:
        """Read a request's JSON; raises ValueError that says what is wrong, and what is allowed."""
        try:
            document = parse_json(body)
        except CacheError as error:
            raise ValueError(f"the body is {error}") from error
        if not isinstance(document, dict) or not document or not set(document) <= set(_FIELDS):
            raise ValueError(f"the body must be an object with some of {', '.join(_FIELDS)}")
        lists = {name: document.get(name, []) for name in _FIELDS}
        if not all(isinstance(items, list) for items in lists.values()):
            raise ValueError(f"{', '.join(_FIELDS)} must be lists")
        count = sum(map(len, lists.values()))
        if not 0 < count <= MOST_NAMES:
            raise ValueError(f"{count} tags, paths and prefixes, allowed: 1 to {MOST_NAMES}")
        for tag in lists["tags"]:
            if not is_valid_tag(tag):
                raise ValueError(f"{tag!r} is no tag: 1 to 256 characters without control characters, \\ and :")
        tags = merge_tags(lists["tags"], map(_path_tag, lists["paths"]))
        return cls(tags, tuple(_path(prefix, "a prefix") for prefix in lists["prefixes"]))


def _path_tag(item: object) -> str:
    if isinstance(item, str):
        return revalidate_path_tag(_path(item, "a path"))
    if not isinstance(item, dict) or not set(item) <= {"path", "type"}:
        raise ValueError(f"{item!r} is neither a path nor an object with path and type")
    kind = item.get("type")
    if kind is not None and kind not in _TYPES:
        raise ValueError(f"the type {kind!r} is neither page nor layout")
    return revalidate_path_tag(_path(item.get("path"), "a path"), kind)


def _path(item: object, what: str) -> str:
    """A path as in tags, however it was written."""
    if not isinstance(item, str) or not item.startswith("/"):
        raise ValueError(f"{item!r} is not {what} that begins with /")
    return normalize_path(item)
