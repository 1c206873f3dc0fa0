"""Requests to the image endpoint, and the rules that they must keep. Pure functions: no I/O.

The defaults are those of Next.js (https://nextjs.org/docs/app/api-reference/components/image#configuration-options).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from core.errors import VinextWorkerError
from core.javascript import encode_uri_component
from core.paths import PRIVATE_FOLDERS, is_file_path

DEFAULT_WIDTHS = (32, 48, 64, 96, 128, 256, 384, 640, 750, 828, 1080, 1200, 1920, 2048, 3840)

DEFAULT_QUALITIES = (75,)


@dataclass(frozen=True)
class ImageRules:
    """The images that may be asked for.

    `hosts` are remote hosts from which images may come: `a.example`, `*.a.example` (hosts below it), or an origin.
    """

    widths: tuple[int, ...] = DEFAULT_WIDTHS
    qualities: tuple[int, ...] = DEFAULT_QUALITIES
    hosts: tuple[str, ...] = ()
    allows_svg: bool = False


_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")

_ORIGIN = re.compile(r"https?://[a-z0-9.:\[\]-]+")

_ADDRESS = re.compile(r"[0-9.]+|0x[0-9a-f.x]+|\[.*\]|.*:.*")


def read_hosts(text: str) -> tuple[str, ...]:
    """Read a list of hosts. Raise ValueError that says what is allowed."""
    hosts = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    if not all((_HOST.fullmatch(host) and not _ADDRESS.fullmatch(host)) or _ORIGIN.fullmatch(host) for host in hosts):
        raise ValueError("hosts with commas between them: a.example, *.a.example, or an origin such as https://a.example:8443")
    return hosts


def is_allowed_origin(scheme: str, authority: str, hosts: tuple[str, ...]) -> bool:
    """Return whether images may come from an origin. A host means https on its usual port, and is never an IP address."""
    if f"{scheme}://{authority}" in hosts:
        return True
    if scheme != "https" or _ADDRESS.fullmatch(authority):
        return False
    return any(authority == host or (host.startswith("*.") and authority.endswith(host[1:])) for host in hosts)


IMAGE_PATHS = frozenset({"/_next/image", "/_next/image/", "/_vinext/image", "/_vinext/image/"})

_PARAMETERS = frozenset({"url", "w", "q", "dpl"})

_MAX_URL_CHARACTERS = 3072

_MAX_QUERY_CHARACTERS = 16_384

_MAX_DECODINGS = 5

_CONTROL = frozenset(map(chr, (*range(0x21), 0x7F)))

_ENDPOINT_FOLDERS = frozenset({"_next", "_vinext"})


class ImageRefusedError(VinextWorkerError):
    """The request asks for an image that is not allowed; the message says which part of it is wrong."""


@dataclass(frozen=True)
class ImageRequest:
    """A width and a quality of one source: `path` of a file of this site, percent-encoded once, else `url` elsewhere."""

    path: str | None
    url: str | None
    width: int
    quality: int

    @property
    def source(self) -> str:
        """The source as it is named in keys and logs."""
        return self.path or self.url or ""


def parse_image_request(query: str, rules: ImageRules) -> ImageRequest:
    """Read the query of a request to the image endpoint. Raise ImageRefusedError if it is not allowed."""
    if len(query) > _MAX_QUERY_CHARACTERS:
        raise ImageRefusedError("the query is too long")
    pairs = parse_qsl(query, keep_blank_values=True, errors="strict") if _is_utf8(query) else []
    values = dict(pairs)
    if len(values) != len(pairs) or not values.keys() <= _PARAMETERS:
        raise ImageRefusedError("url, w and q are wanted, each once, and nothing else")
    width = _number("w", values.get("w", ""), rules.widths)
    quality = _number("q", values.get("q", ""), rules.qualities)
    source = values.get("url", "")
    if not source or len(source) > _MAX_URL_CHARACTERS:
        raise ImageRefusedError(f"url has 1 to {_MAX_URL_CHARACTERS} characters")
    if "\\" in source or not _CONTROL.isdisjoint(source):
        raise ImageRefusedError("url has a backslash, a space or a control character")
    if source.startswith("/"):
        return ImageRequest(_local_path(source), None, width, quality)
    return ImageRequest(None, _remote_url(source, rules), width, quality)


def _number(name: str, text: str, allowed: tuple[int, ...]) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else -1  # noqa: PLR2004 - no width has six digits
    if str(number) != text or number not in allowed:
        raise ImageRefusedError(f"{name} is one of {', '.join(map(str, allowed))}")
    return number


def _local_path(source: str) -> str:
    path = source.partition("#")[0].partition("?")[0]
    decoded = unquote(path)
    # A file server may decode once more, and the path that it then reads must be allowed too.
    checked = decoded
    for _ in range(_MAX_DECODINGS):
        _require_file_path(checked)
        again = unquote(checked)
        if again == checked:
            return "/".join(map(encode_uri_component, decoded.split("/")))
        checked = again
    raise ImageRefusedError("url is encoded too often")


def _require_file_path(path: str) -> None:
    segments = path.split("/")[1:]
    if not _CONTROL.difference(" ").isdisjoint(path) or "\\" in path or "\ufffd" in path:
        raise ImageRefusedError("url hides a backslash or a control character, or is not UTF-8")
    if not is_file_path(path[1:]):
        raise ImageRefusedError("url has an empty or dot segment")
    if segments[0].lower() in PRIVATE_FOLDERS:
        raise ImageRefusedError("url is private")
    if segments[0].lower() in _ENDPOINT_FOLDERS and len(segments) > 1 and segments[1].lower() == "image":
        raise ImageRefusedError("url is the image endpoint itself")


def _remote_url(source: str, rules: ImageRules) -> str:
    scheme, separator, rest = source.partition("://")
    if not separator or scheme not in {"http", "https"}:
        raise ImageRefusedError("url is neither a path nor an https URL")
    ends = [position for mark in "/?#" if (position := rest.find(mark)) != -1]
    authority = rest[: min(ends, default=len(rest))]
    if not authority.isascii() or "@" in authority or "%" in authority:
        raise ImageRefusedError("url has credentials, or a host in another spelling")
    if not is_allowed_origin(scheme, authority.lower(), rules.hosts):
        raise ImageRefusedError(f"no images may come from {authority}")
    return f"{scheme}://{authority.lower()}{rest[len(authority) :].partition('#')[0]}"


def _is_utf8(query: str) -> bool:
    try:
        unquote(query, errors="strict")
    except UnicodeDecodeError as error:
        raise ImageRefusedError("the query is not UTF-8") from error
    return True
