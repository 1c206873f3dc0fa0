"""Formats of images: which one bytes are in, whatever the file's name, and which ones a browser takes."""

from __future__ import annotations

import re
from enum import StrEnum

SNIFFED_BYTES = 4096

_SVG_START = re.compile(
    rb"(?:\xef\xbb\xbf)?(?>\s+|<\?xml[^>]*>|<!--.*?-->|<!doctype[^>]*>)*+<svg[\s>]", re.DOTALL | re.IGNORECASE
)

_WEBP_ANIMATED = 0x02

_WEBP_FLAGS_AT = 20

_AVIF_BRANDS = (b"avif", b"avis")


class ImageFormat(StrEnum):
    """The value is the media type."""

    JPEG = "image/jpeg"
    PNG = "image/png"
    GIF = "image/gif"
    WEBP = "image/webp"
    AVIF = "image/avif"
    ICO = "image/x-icon"
    BMP = "image/bmp"
    TIFF = "image/tiff"
    SVG = "image/svg+xml"

    @property
    def extension(self) -> str:
        """The name of the format in cache entries."""
        return self.value.partition("/")[2].partition("+")[0]


# Formats that the transformer writes. Others are served as they are, or in a format that the browser takes.
WRITABLE = frozenset({ImageFormat.JPEG, ImageFormat.PNG, ImageFormat.WEBP, ImageFormat.AVIF})

UNTOUCHED = frozenset({ImageFormat.SVG, ImageFormat.ICO})


def sniff(head: bytes) -> ImageFormat | None:  # noqa: PLR0911 - a format a line
    """Return the format of a file by its first SNIFFED_BYTES, None if it is not an image."""
    if head.startswith(b"\xff\xd8\xff"):
        return ImageFormat.JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return ImageFormat.PNG
    if head.startswith((b"GIF87a", b"GIF89a")):
        return ImageFormat.GIF
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return ImageFormat.WEBP
    if head[4:8] == b"ftyp" and head[8:12] in _AVIF_BRANDS:
        return ImageFormat.AVIF
    if head.startswith(b"\x00\x00\x01\x00"):
        return ImageFormat.ICO
    if head.startswith(b"BM"):
        return ImageFormat.BMP
    if head.startswith((b"II*\x00", b"MM\x00*")):
        return ImageFormat.TIFF
    return ImageFormat.SVG if _SVG_START.match(head) else None


def is_animated(kind: ImageFormat, head: bytes) -> bool:
    """Return whether the first bytes of a file show an animation; a transformation would keep its first frame only."""
    if kind is ImageFormat.GIF:
        return b"NETSCAPE2.0" in head or b"ANIMEXTS1.0" in head
    if kind is ImageFormat.WEBP:
        return head[12:16] == b"VP8X" and len(head) > _WEBP_FLAGS_AT and bool(head[_WEBP_FLAGS_AT] & _WEBP_ANIMATED)
    if kind is ImageFormat.PNG:
        return b"acTL" in head.partition(b"IDAT")[0]
    return kind is ImageFormat.AVIF and head[8:12] == b"avis"


def negotiate(accept: str | None, source: ImageFormat, formats: tuple[ImageFormat, ...]) -> ImageFormat:
    """Return the format to answer in: the first of `formats` that the browser accepts (RFC 9110, 12.5.1), else the file's own."""
    taken = {name for name, quality in _media_types(accept or "") if quality > 0}
    for wanted in formats:
        if wanted.value in taken:
            return wanted
    if source in WRITABLE and source not in {ImageFormat.AVIF, ImageFormat.WEBP}:
        return source
    return ImageFormat.PNG if source is ImageFormat.GIF else ImageFormat.JPEG


def _media_types(accept: str) -> list[tuple[str, float]]:
    media_types = []
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((parameter[2:] for parameter in parameters if parameter.startswith("q=")), "1")
        media_types.append((name, 0.0 if quality.strip("0.") == "" else 1.0))
    return media_types
