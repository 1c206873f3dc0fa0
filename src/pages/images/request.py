"""What a request to the image endpoint asks for. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from cache.errors import VinextWorkerError
from cache.frozen import frozen
from cache.keys import encode_uri_component
from pages.images.hosts import is_allowed_origin

if TYPE_CHECKING:
    from pages.images.rules import ImageRules

IMAGE_PATHS = frozenset({"/_next/image", "/_next/image/", "/_vinext/image", "/_vinext/image/"})
_PARAMETERS = frozenset({"url", "w", "q", "dpl"})
_MOST_URL_CHARACTERS = 3072
_MOST_QUERY_CHARACTERS = 16_384
_MOST_DECODINGS = 5
_CONTROL = frozenset(map(chr, (*range(0x21), 0x7F)))
_PRIVATE_FOLDERS = frozenset({"__prerender", "__vinext"})
_ENDPOINT_FOLDERS = frozenset({"_next", "_vinext"})


class ImageRefusedError(VinextWorkerError):
    """The request asks for what it must not have; the message says which part of it."""


@frozen
class ImageRequest:
    """A width and a quality of one source: `path` of a file of this site, percent-encoded once, else `url` elsewhere."""

    path: str | None
    url: str | None
    width: int
    quality: int

    @property
    def source(self) -> str:
        """Names the source in keys and logs."""
        return self.path or self.url or ""


def parse_image_request(query: str, rules: ImageRules) -> ImageRequest:
    """Read the query of the image endpoint. Raises ImageRefusedError."""
    if len(query) > _MOST_QUERY_CHARACTERS:
        raise ImageRefusedError("the query is too long")
    pairs = parse_qsl(query, keep_blank_values=True, errors="strict") if _is_utf8(query) else []
    values = dict(pairs)
    if len(values) != len(pairs) or not values.keys() <= _PARAMETERS:
        raise ImageRefusedError("url, w and q are wanted, each once, and nothing else")
    width = _number("w", values.get("w", ""), rules.widths)
    quality = _number("q", values.get("q", ""), rules.qualities)
    source = values.get("url", "")
    if not source or len(source) > _MOST_URL_CHARACTERS:
        raise ImageRefusedError(f"url has 1 to {_MOST_URL_CHARACTERS} characters")
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
    # A file server may decode once more; whatever it makes of the path must be allowed too.
    seen = decoded
    for _ in range(_MOST_DECODINGS):
        _require_file_path(seen)
        again = unquote(seen)
        if again == seen:
            return "/".join(map(encode_uri_component, decoded.split("/")))
        seen = again
    raise ImageRefusedError("url is encoded too often")


def _require_file_path(path: str) -> None:
    segments = path.split("/")[1:]
    if not _CONTROL.difference(" ").isdisjoint(path) or "\\" in path or "\ufffd" in path:
        raise ImageRefusedError("url hides a backslash or a control character, or is not UTF-8")
    if any(segment in {"", ".", ".."} for segment in segments):
        raise ImageRefusedError("url has an empty or dot segment")
    if segments[0].lower() in _PRIVATE_FOLDERS:
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
