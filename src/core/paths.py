"""Paths of URLs: how they are normalized for keys and tags, which name a file, and which are private."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from core.arguments import require_text

PRERENDER_FOLDER = "__prerender"

ADMIN_FOLDER = "__vinext"

PRIVATE_FOLDERS = frozenset({PRERENDER_FOLDER, ADMIN_FOLDER})
"""Folders at the top of a site whose files no visitor may read."""

PATHS_URL = f"/{ADMIN_FOLDER}/static-paths"
"""The URL path that lists the paths to pre-render."""

INSPECT_URL = f"/{ADMIN_FOLDER}/inspect"
"""The URL path of the inspector (`isr.inspector`); its other pages are below it."""

_WELL_KNOWN = "/.well-known"

_MAX_DECODINGS = 4

_DOT_SEGMENTS = frozenset({".", ".."})

_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")

_DELIMITERS = str.maketrans({"/": "%2F", "#": "%23", "?": "%3F", "\\": "%5C"})

_ENCODED_DELIMITERS = frozenset(("2f", "23", "3f", "5c"))


def decode_path(path: str) -> str:
    r"""Percent-decode each segment of a path, except for the delimiters `/ # ? \\`, which stay or become encoded.

    A segment that does not decode stays as it is (vinext's `normalizePathnameForRouteMatch`).
    """
    require_text("path", path)
    return "/".join(map(_decode_segment, path.split("/")))


def normalize_path(path: str) -> str:
    """Give the path in keys and tags for a percent-encoded URL path or manifest path, without a query.

    Segments are decoded as in `decode_path`, then empty and dot segments are resolved as vinext's request pipeline
    does, and one trailing slash is stripped.
    """
    decoded = decode_path(path)
    if not decoded.startswith("/") or "//" in decoded or "/." in decoded:
        decoded = _resolve_dots(decoded)
    return strip_trailing_slash(decoded)


def is_decodable_path(path: str) -> bool:
    """Return whether every segment decodes; vinext answers 400 if not, so such a path has no page of its own."""
    require_text("path", path)
    return "%" not in path or all(_percent_decode(segment) is not None for segment in path.split("/"))


def _decode_segment(segment: str) -> str:
    decoded = _percent_decode(segment) if "%" in segment else segment
    if decoded is None:
        return segment
    if "%" in decoded:
        first, *escapes = decoded.split("%")
        decoded = first + "".join(
            f"%25{escape}" if escape[:2].lower() in _ENCODED_DELIMITERS else f"%{escape}" for escape in escapes
        )
    return decoded.translate(_DELIMITERS)


def _percent_decode(text: str) -> str | None:
    """`decodeURIComponent`, with None for its URIError."""
    first, *escapes = text.split("%")
    parts = [first]
    run = bytearray()
    try:
        for escape in escapes:
            digits, rest = escape[:2], escape[2:]
            if len(digits) < 2 or not _HEX_DIGITS.issuperset(digits):  # noqa: PLR2004 - two digits an escape
                return None
            run.append(int(digits, 16))
            if rest:
                parts.append(run.decode())
                parts.append(rest)
                run.clear()
        parts.append(run.decode())
    except UnicodeDecodeError:
        return None
    return "".join(parts)


def _resolve_dots(path: str) -> str:
    """Apply vinext's `normalizePath`; it leaves a path alone, trailing slash included, that needs nothing."""
    if path.startswith("/") and "//" not in path and not has_dot_segment(path):
        return path
    return "/" + "/".join(_resolved_segments(path))


def _resolved_segments(path: str) -> list[str]:
    """Return the segments of a path without the empty ones, dots resolved (RFC 3986, 5.2.4)."""
    resolved: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del resolved[-1:]
        elif segment not in {"", "."}:
            resolved.append(segment)
    return resolved


def has_dot_segment(path: str) -> bool:
    """Return whether a segment of a decoded path is `.` or `..`."""
    return not _DOT_SEGMENTS.isdisjoint(path.split("/"))


def is_file_path(path: str) -> bool:
    """Return whether a decoded path without its leading slash names a file below a folder and cannot leave that folder."""
    return "\0" not in path and "" not in path.split("/") and not has_dot_segment(path)


def strip_trailing_slash(path: str) -> str:
    """Return the path without one trailing slash; `/` stays."""
    return path[:-1] if len(path) > 1 and path.endswith("/") else path


def at_next_slash(path: str, *, trailing_slash: bool) -> str:
    """Return the form of a URL path that Next.js serves; it redirects the one with, or without, a slash at the end.

    `path` is without the base path, `trailing_slash` that of next.config (vinext's `normalizeTrailingSlashPathname`).
    """
    if is_api(path):
        return path
    stripped = strip_trailing_slash(path)
    if not trailing_slash or path == "/":
        return stripped
    if path == _WELL_KNOWN or path.startswith(f"{_WELL_KNOWN}/"):
        return path
    is_file = "." in stripped.rpartition("/")[2][:-1]
    return stripped if is_file else f"{stripped}/"


def is_api(path: str) -> bool:
    """Return whether a path is one that Next.js serves with and without a slash at its end, each as a page of its own."""
    return path == "/api" or path.startswith("/api/")


def is_admin(path: str) -> bool:
    """Return whether a path, in any spelling, is one of the endpoints for the people who run the site (`isr.admin`)."""
    # Every request comes here, and few paths need a closer look.
    return ("%" in path or "vinext" in path.lower()) and is_below(path, ADMIN_FOLDER)


def is_below(path: str, folder: str) -> bool:
    """Return whether a path, in any spelling, is the folder or below it.

    A file server may decode a path again, fold slashes and resolve dots, so this does the same.
    """
    if "%" not in path and folder not in path.lower():
        return False
    for _ in range(_MAX_DECODINGS):
        decoded = unquote(path).replace("\\", "/")
        if decoded == path:
            break
        path = decoded
    segments = _resolved_segments(path)
    return bool(segments) and segments[0].lower() == folder


# A percent sign that encodes nothing: those of `decode_path` encode a delimiter, or the percent sign before what looks like one.
_BARE_PERCENT = re.compile("%(?!(?:25)?(?:2F|23|3F|5C))", re.IGNORECASE)

# What may stand in a path as it is (RFC 3986, 3.3), and a percent sign that encodes already.
_PATH_CHARACTERS = "/%:@!$&'()*+,;=~-._"


def url_path(path: str) -> str:
    """Return a path as a URL has it; what is percent-encoded already stays."""
    return quote(path, safe=_PATH_CHARACTERS)


def canonical_url_path(path: str) -> str:
    """Return the one spelling of a percent-encoded path in which only what has to be encoded is; `/%61` becomes `/a`."""
    return url_path(_BARE_PERCENT.sub("%25", decode_path(path)))
