"""Keys of entries and of tag markers, as vinext builds them.

There are two schemas: V1 is vinext 0.0.38, V2 is vinext 1.4.0; the versions between were not tried.
"""

from __future__ import annotations

import hashlib
import re
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from core.arguments import require_text
from core.errors import InvalidArgumentError
from core.javascript import encode_uri_component, json_text, to_utf8, utf16_length, utf16_units
from core.paths import strip_trailing_slash

if TYPE_CHECKING:
    from collections.abc import Sequence

# A variant may follow the artifact: `route:trailing-slash` is V2's name for the answer to a path that ends in a slash.
_SUFFIX = re.compile(r"(?:html|rsc|route)(?::[a-z0-9:-]+)?")

I18N_MARK = "::i18n="
"""What stands between the path and the locale in V2's key of a Pages Router page."""

MAX_PAGE_KEY_LENGTH = 200
MAX_KV_KEY_BYTES = 512

ENTRY_PREFIX = "cache:"
TAG_PREFIX = "__tag:"
STALE_PREFIX = "__swr:"
LEASE_PREFIX = "__lease:"
LAST_INVALIDATION = "__last-invalidation"
LAST_STALE_INVALIDATION = "__last-stale"
_HASH_PREFIX = "__hash:"
_LEASE_CHARACTERS = 16

_FNV_SEEDS = (0x811C9DC5, 0x050C5D1F)
_FNV_PRIME = 16777619.0

_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"

# app:<build>:/path:html, pages:v2:<build>:__hash:…, app-fallback-shell:v1:<build>:/[slug]:html (vinext's own). A key of schema
# v1 whose build is called v2 looks like a key of schema v2 without a build, and counts as one.
_KEY = re.compile(r"(?:(?:app|pages)(?::v2|(?!:v2:/|:v2:__hash:))|app-fallback-shell:v1):(?P<build>[^/]+?):(?=/|__hash:)")


class KeySchema(StrEnum):
    """The version of vinext whose keys are built."""

    V1 = "v1"
    V2 = "v2"


def page_key(schema: KeySchema, build_id: str | None, path: str, suffix: str) -> str:
    """Return the key of one artifact of an App Router page; `path` is from `normalize_path`."""
    if not _SUFFIX.fullmatch(suffix):
        raise InvalidArgumentError("suffix", suffix, "html, rsc or route, and a variant after a colon")
    return _key("app", schema, build_id, path, f":{suffix}")


def pages_router_key(schema: KeySchema, build_id: str | None, path: str, i18n_variant: str | None = None) -> str:
    """Return the key of a Pages Router page; `path` is from `normalize_path`, `i18n_variant` is V2's locale part."""
    if i18n_variant:
        if schema is KeySchema.V1:
            raise InvalidArgumentError("i18n_variant", i18n_variant, "None with schema v1, which has no such part")
        path = f"{strip_trailing_slash(path)}{I18N_MARK}{encode_uri_component(i18n_variant)}"
    return _key("pages", schema, build_id, path, "")


def data_cache_key(key_parts: Sequence[str], arguments: Sequence[object]) -> str:
    """Return the key of an `unstable_cache` result in schema V1; `arguments` are JSON values."""
    return f"unstable_cache:{':'.join(key_parts)}:{json_text(list(arguments))}"


def data_cache_key_v2(source: str, key_parts: Sequence[str] | None, arguments: Sequence[object]) -> str:
    """Return the key of an `unstable_cache` result in schema V2, which also depends on the source of the function."""
    fixed = _json_of_function(source, None if key_parts is None else tuple(key_parts))
    return f"unstable_cache:v2:{_sha256(fixed + json_text(list(arguments)))}"


@lru_cache(maxsize=1024)
def _json_of_function(source: str, key_parts: tuple[str, ...] | None) -> str:
    return json_text([source, None if key_parts is None else list(key_parts)])


def key_build(key: str) -> str | None:
    """Return the build that a cache key names; None if it names none, such as a key of the data cache."""
    match = _KEY.match(key)
    return match["build"] if match else None


def kv_key(key: str, app_prefix: str = "") -> str:
    """Return the KV key of an entry: at most 512 bytes, hashed where it would be longer."""
    return _storage_key(ENTRY_PREFIX, key, app_prefix)


def kv_tag_key(tag: str, app_prefix: str = "") -> str:
    """Return the KV key of a tag's marker: at most 512 bytes, hashed where it would be longer."""
    return _storage_key(TAG_PREFIX, tag, app_prefix)


def kv_stale_key(tag: str, app_prefix: str = "") -> str:
    """Return the KV key of the marker of a tag's stale invalidation; vinext, which has no such marker, never reads it."""
    return _storage_key(STALE_PREFIX, tag, app_prefix)


def keeps_apart(app_prefix: str) -> bool:
    """Return whether no KV key of an app with this prefix is one of an app with another, or with none.

    A colon ends a prefix in a key, and the prefix may contain some, as vinext allows. So none of its parts may be a word that
    follows a prefix.
    """
    return not any(f"{part}:" == ENTRY_PREFIX or part.startswith("__") for part in app_prefix.split(":"))


def kv_entry_prefix(app_prefix: str = "") -> str:
    """Return the prefix of the KV keys of all entries of an app."""
    return f"{_bounded_app_prefix(app_prefix)}{ENTRY_PREFIX}"


def kv_lease_key(key: str, app_prefix: str = "") -> str:
    """Return the KV key of a lease: always hashed, because only this Worker reads it."""
    return f"{_bounded_app_prefix(app_prefix)}{LEASE_PREFIX}{_sha256(key)[:_LEASE_CHARACTERS]}"


@lru_cache
def kv_last_invalidation_key(app_prefix: str = "") -> str:
    """Return the KV key of the time of the last invalidation."""
    return f"{_bounded_app_prefix(app_prefix)}{LAST_INVALIDATION}"


@lru_cache
def kv_last_stale_key(app_prefix: str = "") -> str:
    """Return the KV key of the time of the last stale invalidation."""
    return f"{_bounded_app_prefix(app_prefix)}{LAST_STALE_INVALIDATION}"


def fnv1a64_base36(text: str) -> str:
    """Hash as vinext 0.0.38 does for long paths: two 32-bit numbers in base 36, not padded."""
    return "".join(map(_base36, _fnv1a_rounds(text)))


def fnv1a64_hex(text: str) -> str:
    """Hash as vinext 1.4.0 does for long KV keys: two 32-bit numbers as 8 hex digits each."""
    first, second = _fnv1a_rounds(text)
    return f"{first:08x}{second:08x}"


def _key(router: str, schema: KeySchema, build_id: str | None, path: str, suffix: str) -> str:
    if not isinstance(schema, KeySchema):
        raise InvalidArgumentError("schema", schema, "KeySchema.V1 or KeySchema.V2")
    if build_id is not None and not isinstance(build_id, str):
        raise InvalidArgumentError("build_id", build_id, "a string or None")
    _require_path(path)
    prefix = f"{router}:v2" if schema is KeySchema.V2 else router
    if build_id:
        prefix = f"{prefix}:{build_id}"
    return _within_limit(prefix, strip_trailing_slash(path), suffix, schema)


def _within_limit(prefix: str, path: str, suffix: str, schema: KeySchema) -> str:
    key = f"{prefix}:{path}{suffix}"
    if utf16_length(key) <= MAX_PAGE_KEY_LENGTH:
        return key
    digest = _sha256(path) if schema is KeySchema.V2 else fnv1a64_base36(path)
    return f"{prefix}:{_HASH_PREFIX}{digest}{suffix}"


def _storage_key(category: str, logical_key: str, app_prefix: str) -> str:
    require_text("key", logical_key)
    prefix = _bounded_app_prefix(app_prefix)
    key = f"{prefix}{category}{logical_key}"
    if len(key) * 4 <= MAX_KV_KEY_BYTES or len(to_utf8(key)) <= MAX_KV_KEY_BYTES:
        return key
    return f"{prefix}{category}{_HASH_PREFIX}{fnv1a64_hex(logical_key)}"


def _bounded_app_prefix(app_prefix: str) -> str:
    if app_prefix == "":
        return ""
    require_text("app_prefix", app_prefix)
    longest_category = len(ENTRY_PREFIX) + len(_HASH_PREFIX) + 16
    if len(to_utf8(app_prefix)) + 1 + longest_category <= MAX_KV_KEY_BYTES:
        return f"{app_prefix}:"
    return f"__app:{fnv1a64_hex(app_prefix)}:"


def _fnv1a_rounds(text: str) -> tuple[int, int]:
    """Hash in two rounds of 32 bits. JavaScript multiplies a signed number as a double, so the product is rounded."""
    units = utf16_units(text)
    first, second = _FNV_SEEDS
    for unit in units:
        first = int(float(_signed(first ^ unit)) * _FNV_PRIME) & 0xFFFFFFFF
        second = int(float(_signed(second ^ unit)) * _FNV_PRIME) & 0xFFFFFFFF
    return first, second


def _signed(number: int) -> int:
    return number - 0x100000000 if number & 0x80000000 else number


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _BASE36[digit] + digits
    return digits or "0"


def _sha256(text: str) -> str:
    return hashlib.sha256(to_utf8(text)).hexdigest()


def _require_path(path: object) -> None:
    if not isinstance(path, str) or not path.startswith("/"):
        raise InvalidArgumentError("path", path, "a path that begins with /, as from normalize_path")
