"""Tags of entries: the ones that a path gives, which are valid, and how they are written.

Next.js invalidates a path through tags that begin with `_N_T_`; a page carries those of every layout above it.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Literal

from cache.keys import KeySchema
from core.errors import InvalidArgumentError
from core.javascript import encode_uri_component, join_surrogates, utf16_length

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cache.entry import CacheEntry
    from core.log import Log

_LOGGED_TAGS = 1000


class TagFilter:
    """Keeps valid tags, and logs each other tag once.

    Schema V1 stores tags as they are, V2 percent-encoded. Without a schema, tags stay as they are and those are valid
    that either takes.
    """

    def __init__(self, log: Log, schema: KeySchema | None) -> None:
        self._log = log
        self._schema = schema
        self._logged: set[str] = set()

    def valid(self, tags: Iterable[str]) -> tuple[str, ...]:
        """Give the valid ones of `tags`, each once, as they are stored."""
        found = merge_tags(map(encode_tag, tags) if self._schema is KeySchema.V2 else tags)
        if all(map(is_valid_tag, found)):
            return found
        kept = tuple(filter(self._is_valid, found))
        for tag in found:
            if tag not in kept and tag not in self._logged and len(self._logged) < _LOGGED_TAGS:
                self._logged.add(tag)
                self._log.event("warning", "cache.tag_invalid", tag=tag[:300], allowed="1 to 256 characters, no control, \\ or :")
        return kept

    def with_valid_tags(self, entry: CacheEntry) -> CacheEntry:
        """Return the entry with its valid tags alone, as they are stored: itself where all of them are."""
        tags = self.valid(entry.tags)
        return entry if tags == entry.tags else replace(entry, tags=tags)

    def _is_valid(self, tag: str) -> bool:
        return is_valid_tag(tag) or (self._schema is None and is_valid_tag(encode_tag(tag)))


PATH_TAG_PREFIX = "_N_T_"

MAX_TAG_LENGTH = 256

_ROOT_LAYOUT = f"{PATH_TAG_PREFIX}/layout"


def path_tags(schema: KeySchema, path: str) -> tuple[str, ...]:
    """Give the tags of the page at `path`, as from `normalize_path`: itself, each layout above it, its leaf.

    V2 percent-encodes non-ASCII characters. Tags that are not valid are among them; a handler leaves those out.
    """
    if not isinstance(schema, KeySchema):
        raise InvalidArgumentError("schema", schema, "KeySchema.V1 or KeySchema.V2")
    _require_path("path", path)
    stem = path[:-1] if schema is KeySchema.V2 and len(path) > 1 and path.endswith("/") else path
    tags = [path, f"{PATH_TAG_PREFIX}{stem}", _ROOT_LAYOUT]
    built = ""
    for segment in path.split("/"):
        if segment:
            built = f"{built}/{segment}"
            tags.append(f"{PATH_TAG_PREFIX}{built}/layout")
    tags.append(f"{PATH_TAG_PREFIX}{built}/page")
    return merge_tags(map(encode_tag, tags) if schema is KeySchema.V2 else tags)


def route_tags(
    path: str, extra_tags: Iterable[str], route_segments: Sequence[str], leaf: Literal["page", "route"]
) -> tuple[str, ...]:
    """Give the tags that V2 gives a page or route handler when it makes it: by the route's pattern, not by the path.

    `route_segments` are the folders of the route, such as `("blog", "[slug]")`.
    """
    _require_path("path", path)
    stem = path[:-1] if len(path) > 1 and path.endswith("/") else path
    tags = [path, f"{PATH_TAG_PREFIX}{stem}"]
    if path == "/":
        tags.append(f"{PATH_TAG_PREFIX}/index")
    if path == "/index":
        tags.append(f"{PATH_TAG_PREFIX}/")
    tags.append(_ROOT_LAYOUT)
    built = ""
    for segment in route_segments:
        if segment and segment != "." and not segment.startswith("@"):
            built = f"{built}/{segment}"
            tags.append(f"{PATH_TAG_PREFIX}{built}/layout")
    tags.append(f"{PATH_TAG_PREFIX}{built}/{leaf}")
    return merge_tags(map(encode_tag, merge_tags(tags, extra_tags)))


def prefix_tags(schema: KeySchema, prefix: str) -> tuple[str, ...]:
    """Give the tags that every page at or below the path `prefix` carries at least one of."""
    _require_path("prefix", prefix)
    stem = prefix.rstrip("/")
    tags = (f"{PATH_TAG_PREFIX}{stem}/layout", stem or "/", f"{PATH_TAG_PREFIX}{stem or '/'}")
    return merge_tags(map(encode_tag, tags) if schema is KeySchema.V2 else tags)


def is_tag_below(tag: str, prefix: str) -> bool:
    """Tell whether `tag` is one of a path at or below `prefix`: `/docs` and `/docs/…`, not `/docs-old`."""
    path = tag.removeprefix(PATH_TAG_PREFIX)
    stem = prefix.rstrip("/")
    return path.startswith("/") and (path == stem or path.startswith(f"{stem}/"))


def revalidate_path_tag(path: str, type: Literal["page", "layout"] | None = None) -> str:  # noqa: A002 - Next.js's name
    """Give the tag that Next.js's `revalidatePath(path, type)` invalidates; `("/", "layout")` reaches every page."""
    _require_path("path", path)
    if type not in {None, "page", "layout"}:
        raise InvalidArgumentError("type", type, "'page', 'layout' or None")
    stem = path.removesuffix("/")
    return f"{PATH_TAG_PREFIX}{stem}/{type}" if type else f"{PATH_TAG_PREFIX}{stem or '/'}"


def merge_tags(*groups: Iterable[str]) -> tuple[str, ...]:
    """All tags in the order in which they come first, each once."""
    return tuple(dict.fromkeys(chain.from_iterable(groups)))


def is_valid_tag(tag: object) -> bool:
    """Tell whether a store takes `tag`: 1 to 256 UTF-16 units without control characters, backslash and colon."""
    return (
        isinstance(tag, str)
        and 0 < len(tag) <= MAX_TAG_LENGTH
        and utf16_length(tag) <= MAX_TAG_LENGTH
        and "\\" not in tag
        and ":" not in tag
        and (tag.isprintable() or not any(character < " " for character in tag))
    )


def encode_tag(tag: str) -> str:
    """Percent-encode what an HTTP header cannot carry: everything but tab and printable ASCII. Idempotent."""
    if not isinstance(tag, str):
        raise InvalidArgumentError("tag", tag, "a string")
    if tag.isascii() and tag.isprintable():
        return tag
    return "".join(
        character if " " <= character <= "~" or character == "\t" else encode_uri_component(character)
        for character in join_surrogates(tag)
    )


def _require_path(argument: str, path: object) -> None:
    if not isinstance(path, str) or not path.startswith("/"):
        raise InvalidArgumentError(argument, path, "a path that begins with /")
