"""Tags of entries: those of a path, which ones are valid, and how they are written.

Next.js invalidates a path through tags that begin with `_N_T_`; a page carries those of every layout above it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

from cache.keys import KeySchema
from core.errors import InvalidArgumentError
from core.javascript import encode_uri_component, join_surrogates, utf16_length

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cache.entry import CacheEntry
    from core.log import Log

PATH_TAG_PREFIX = "_N_T_"
MAX_TAG_LENGTH = 256
MAX_PATH_TAG_LENGTH = 1024
"""A path is percent-encoded: the name of an article in Japanese has nine times its characters."""

_MAX_ENCODED_LENGTH = 9 * MAX_TAG_LENGTH  # three bytes of UTF-8 for a UTF-16 unit, each written as %XX

ALLOWED_TAG = f"1 to {MAX_TAG_LENGTH} characters without control characters"

_OF_PATHS = ("/", f"{PATH_TAG_PREFIX}/")

_ROOT_LAYOUT = f"{PATH_TAG_PREFIX}/layout"

_LOGGED_TAGS = 1000

_SHOWN_CHARACTERS = 300


def path_tags(schema: KeySchema, path: str) -> tuple[str, ...]:
    """Return the tags of the page at `path`, which is from `normalize_path`: itself, each layout above it, its leaf.

    V2 percent-encodes non-ASCII characters. Invalid tags are included; a cache handler leaves them out.
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


def prefix_tags(schema: KeySchema, prefix: str) -> tuple[str, ...]:
    """Return tags of which every page at or below the path `prefix` carries at least one."""
    _require_path("prefix", prefix)
    stem = prefix.rstrip("/")
    tags = (f"{PATH_TAG_PREFIX}{stem}/layout", stem or "/", f"{PATH_TAG_PREFIX}{stem or '/'}")
    return merge_tags(map(encode_tag, tags) if schema is KeySchema.V2 else tags)


def is_tag_below(tag: str, prefix: str) -> bool:
    """Return whether `tag` is one of a path at or below `prefix`: `/docs` and `/docs/…`, not `/docs-old`."""
    path = tag.removeprefix(PATH_TAG_PREFIX)
    stem = prefix.rstrip("/")
    return path.startswith("/") and (path == stem or path.startswith(f"{stem}/"))


def revalidate_path_tag(path: str, type: Literal["page", "layout"] | None = None) -> str:  # noqa: A002 - Next.js's name
    """Return the tag that Next.js's `revalidatePath(path, type)` invalidates; `("/", "layout")` reaches every page."""
    _require_path("path", path)
    if type not in {None, "page", "layout"}:
        raise InvalidArgumentError("type", type, "'page', 'layout' or None")
    stem = path.removesuffix("/")
    return f"{PATH_TAG_PREFIX}{stem}/{type}" if type else f"{PATH_TAG_PREFIX}{stem or '/'}"


def merge_tags(*groups: Iterable[str]) -> tuple[str, ...]:
    """Return all tags, each once, in the order in which they first occur."""
    return tuple(dict.fromkeys(chain.from_iterable(groups)))


def is_valid_tag(tag: object) -> bool:
    """Return whether a store takes `tag`: 1 to 256 UTF-16 units without control characters, 1,024 for one of a path.

    A percent-encoded tag counts as the text that it stands for, as in Next.js. vinext counts what is encoded: a page with a
    longer path has no tags of its own there, so nothing invalidates it alone. vinext's own handler for KV also leaves out tags
    with a backslash or a colon. Next.js takes them, and vinext's other handlers do: `type:id` is a usual way to write a tag.
    """
    return (
        isinstance(tag, str)
        and (0 < utf16_length(tag) <= MAX_TAG_LENGTH or _is_long_by_encoding(tag))
        and (tag.isprintable() or not any(character < " " for character in tag))
    )


def _is_long_by_encoding(tag: str) -> bool:
    length = utf16_length(tag)
    if length <= MAX_PATH_TAG_LENGTH and tag.startswith(_OF_PATHS):
        return True
    return length <= _MAX_ENCODED_LENGTH and "%" in tag and utf16_length(unquote(tag)) <= MAX_TAG_LENGTH


def encode_tag(tag: str) -> str:
    """Percent-encode all that an HTTP header cannot carry: everything but tab and printable ASCII. Idempotent."""
    if not isinstance(tag, str):
        raise InvalidArgumentError("tag", tag, "a string")
    if tag.isascii() and tag.isprintable():
        return tag
    return "".join(
        character if " " <= character <= "~" or character == "\t" else encode_uri_component(character)
        for character in join_surrogates(tag)
    )


class TagFilter:
    """A filter that keeps valid tags, and logs each other tag once.

    Schema V1 stores tags as they are, V2 percent-encoded. Without a schema, tags stay as they are, and a tag is valid
    if either schema takes it.
    """

    def __init__(self, log: Log, schema: KeySchema | None) -> None:
        self._log = log
        self._schema = schema
        self._logged: dict[str, None] = {}

    def valid(self, tags: Iterable[str]) -> tuple[str, ...]:
        """Return the valid ones of `tags`, each once, as they are stored."""
        merged = merge_tags(map(encode_tag, tags) if self._schema is KeySchema.V2 else tags)
        if all(map(is_valid_tag, merged)):
            return merged
        kept = tuple(filter(self._is_valid, merged))
        for tag in merged:
            shown = tag[:_SHOWN_CHARACTERS]
            if tag not in kept and shown not in self._logged and len(self._logged) < _LOGGED_TAGS:
                self._logged[shown] = None
                self._log.event("warning", "cache.tag_invalid", tag=shown, allowed=ALLOWED_TAG)
        return kept

    def with_valid_tags(self, entry: CacheEntry) -> CacheEntry:
        """Return the entry with only its valid tags, as they are stored: the same entry where all of them are."""
        return entry if _are_stored(entry.tags, self._schema) else replace(entry, tags=self.valid(entry.tags))

    def _is_valid(self, tag: str) -> bool:
        return is_valid_tag(tag) or (self._schema is None and is_valid_tag(encode_tag(tag)))


# A page is written as HTML and as RSC payload, to memory and to a store, each time with the same tags.
@lru_cache(maxsize=16)
def _are_stored(tags: tuple[str, ...], schema: KeySchema | None) -> bool:
    """Return whether all tags are valid, each is there once, and a store keeps them as they are."""
    kept = merge_tags(map(encode_tag, tags) if schema is KeySchema.V2 else tags)
    return kept == tags and all(map(is_valid_tag, kept))


def _require_path(argument: str, path: object) -> None:
    if not isinstance(path, str) or not path.startswith("/"):
        raise InvalidArgumentError(argument, path, "a path that begins with /")
