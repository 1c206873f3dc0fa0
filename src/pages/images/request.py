"""Requests to the image endpoint, and the URLs that they name. Pure functions: no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote, urljoin

from core.errors import VinextWorkerError
from core.javascript import encode_uri_component
from core.paths import PRIVATE_FOLDERS, is_file_path

if TYPE_CHECKING:
    from pages.images.rules import ImageRules

IMAGE_PATHS = frozenset({"/_next/image", "/_next/image/", "/_vinext/image", "/_vinext/image/"})

_PARAMETERS = frozenset({"url", "w", "q", "dpl"})

_MAX_URL_CHARACTERS = 3072

_MAX_QUERY_CHARACTERS = 16_384

_MAX_DECODINGS = 5

_CONTROL = frozenset(map(chr, (*range(0x20), 0x7F)))

# What a URL holds unencoded: all that is visible in ASCII.
_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))

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
        raise ImageRefusedError("url has a backslash or a control character")
    if source.startswith("/"):
        return ImageRequest(_local_path(source, rules), None, width, quality)
    return ImageRequest(None, remote_url(source, rules), width, quality)


def redirected_url(location: str, base: str, rules: ImageRules) -> str:
    """Return the URL to which a remote image redirects. Raise ImageRefusedError if no image may come from there."""
    if "\\" in location or not _CONTROL.isdisjoint(location):
        raise ImageRefusedError("the redirect has a backslash or a control character")
    try:
        target = urljoin(base, location)
    except ValueError as error:
        raise ImageRefusedError(f"the redirect is no URL ({error})") from error
    return remote_url(target, rules)


def _number(name: str, text: str, allowed: tuple[int, ...]) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else -1  # noqa: PLR2004 - no width has six digits
    if str(number) != text or number not in allowed:
        raise ImageRefusedError(f"{name} is one of {', '.join(map(str, allowed))}")
    return number


def _local_path(source: str, rules: ImageRules) -> str:
    path, mark, query = source.partition("#")[0].partition("?")
    decoded = unquote(path)
    # A file server may decode once more, and the path that it then reads must be allowed too.
    checked = decoded
    for _ in range(_MAX_DECODINGS):
        _require_file_path(checked)
        again = unquote(checked)
        if again == checked:
            encoded = "/".join(map(encode_uri_component, decoded.split("/")))
            if not rules.allows_local(encoded, mark + query if query else ""):
                raise ImageRefusedError(f"no images may be made of {encoded}")
            return encoded
        checked = again
    raise ImageRefusedError("url is encoded too often")


def _require_file_path(path: str) -> None:
    segments = path.split("/")[1:]
    if not _CONTROL.isdisjoint(path) or "\\" in path or "\ufffd" in path:
        raise ImageRefusedError("url hides a backslash or a control character, or is not UTF-8")
    if not is_file_path(path[1:]):
        raise ImageRefusedError("url has an empty or dot segment")
    if segments[0].lower() in PRIVATE_FOLDERS:
        raise ImageRefusedError("url is private")
    if segments[0].lower() in _ENDPOINT_FOLDERS and len(segments) > 1 and segments[1].lower() == "image":
        raise ImageRefusedError("url is the image endpoint itself")


def remote_url(source: str, rules: ImageRules) -> str:
    """Return the URL of a remote image, encoded as it is fetched. Raise ImageRefusedError if no image may come from there."""
    scheme, separator, rest = source.partition("://")
    if not separator or scheme not in {"http", "https"}:
        raise ImageRefusedError("url is neither a path nor an https URL")
    ends = [position for mark in "/?#" if (position := rest.find(mark)) != -1]
    authority = rest[: min(ends, default=len(rest))]
    if not authority.isascii() or "@" in authority or "%" in authority:
        raise ImageRefusedError("url has credentials, or a host in another spelling")
    place = quote(rest[len(authority) :].partition("#")[0], safe=_VISIBLE)
    if not {".", ".."}.isdisjoint(unquote(place.partition("?")[0]).split("/")):
        raise ImageRefusedError("url has a dot segment")
    url = f"{scheme}://{authority.lower()}{place}"
    if not rules.allows_remote(url):
        raise ImageRefusedError(f"no images may come from {url}")
    return url


def _is_utf8(query: str) -> bool:
    try:
        unquote(query, errors="strict")
    except UnicodeDecodeError as error:
        raise ImageRefusedError("the query is not UTF-8") from error
    return True
