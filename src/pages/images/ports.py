"""What the image endpoint needs from whoever runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cache.errors import VinextWorkerError

if TYPE_CHECKING:
    from cache.body import Body, Buffer
    from pages.images.formats import ImageFormat

MOST_SOURCE_BYTES = 25 * 1024 * 1024


class ImageSourceError(VinextWorkerError):
    """The source of an image could not be got; `status` is what the visitor is told."""

    def __init__(self, message: str, status: int) -> None:
        self.status = status
        super().__init__(message)


class ImageTransformError(VinextWorkerError):
    """An image could not be transformed."""


class ImageSources(Protocol):
    """Where images come from."""

    async def local(self, path: str) -> Buffer:
        """A file of this site. Raises ImageSourceError where there is none."""

    async def remote(self, url: str) -> Buffer:
        """A file of at most MOST_SOURCE_BYTES; redirects are not followed. Raises ImageSourceError."""


class ImageTransformer(Protocol):
    """Makes images smaller."""

    async def transform(self, source: Body, kind: ImageFormat, width: int, quality: int) -> Body:
        """The image in that format, no wider than it was. Raises ImageTransformError."""
