"""The image endpoint, `/_next/image` and `/_vinext/image`, and the protocols of its sources and its transformer."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from cache.entry import CacheEntry, Freshness, ImageValue, freshness
from core.body import MAX_BODY_BYTES, text_body
from core.errors import VinextWorkerError
from core.http import matches_etag
from core.javascript import json_text, to_utf8
from pages.handler import WholeResponse
from pages.images.formats import SNIFFED_BYTES, UNTOUCHED, ImageFormat, is_animated, negotiate, sniff
from pages.images.request import IMAGE_PATHS, ImageRefusedError, parse_image_request, redirected_url

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cache.handler import EntryCache
    from core.body import Body, Buffer
    from core.runtime import Runtime
    from pages.images.request import ImageRequest
    from pages.images.rules import ImageRules
    from pages.request import HeaderItems, PageRequest


class ImageSourceError(VinextWorkerError):
    """The source of an image could not be read; `status` is that of the answer."""

    def __init__(self, message: str, status: int) -> None:
        self.status = status
        super().__init__(message)


class ImageTransformError(VinextWorkerError):
    """An image could not be transformed."""


@dataclass(frozen=True)
class RemoteImage:
    """A file from elsewhere, and the seconds for which its server calls it fresh, None if it does not say."""

    body: Buffer
    max_age_seconds: float | None = None


@dataclass(frozen=True)
class ImageRedirect:
    """The server of a file says that it is elsewhere; `location` is as the server writes it."""

    location: str


class ImageSources(Protocol):
    """Where images come from."""

    async def local(self, path: str) -> Buffer:
        """Return a file of this site. Raise ImageSourceError if there is none."""

    async def remote(self, url: str) -> RemoteImage | ImageRedirect:
        """Return a file of at most MAX_BODY_BYTES, or where it is. Raise ImageSourceError if there is none."""


class ImageTransformer(Protocol):
    """Scales images down and converts their format."""

    async def transform(self, source: Body, kind: ImageFormat, width: int, quality: int) -> Body:
        """Return the image in that format, no wider than it was. Raise ImageTransformError if it cannot be transformed."""


TAG = "images"

_KEY_CHARACTERS = 40

_HASHED_FOLDER = "/_next/static/"

_IMMUTABLE = "public, max-age=31536000, immutable"

_CONTENT_SECURITY_POLICY = "script-src 'none'; frame-src 'none'; sandbox;"

_BY_EXTENSION = {kind.extension: kind for kind in ImageFormat}


@dataclass(frozen=True)
class Images:
    """Answers from IMAGE entries, and transforms the images of those that are missing or stale.

    With `transformer` None every image is served as it is. `build_id` is part of the keys, because a file of the site may
    change with a deploy. A file for which `is_ruled` is true belongs to the page handler: a rule of the app, such as a login,
    may stand before it.
    """

    rules: ImageRules
    sources: ImageSources
    transformer: ImageTransformer | None
    build_id: str | None
    entries: EntryCache
    digest: Callable[[Body], Awaitable[str]]
    runtime: Runtime
    paths: frozenset[str] = IMAGE_PATHS
    is_ruled: Callable[[str], bool] = lambda _path: False

    async def answer(self, request: PageRequest) -> WholeResponse | None:
        """Answer a request, None if the page handler is to. A failure is a status, with a log line if no visitor caused it."""
        if request.method not in {"GET", "HEAD"}:
            return _text(HTTPStatus.METHOD_NOT_ALLOWED, "GET or HEAD", (("allow", "GET, HEAD"),))
        try:
            wanted = parse_image_request(request.query, self.rules)
        except ImageRefusedError as error:
            return _text(HTTPStatus.BAD_REQUEST, f"Bad Request: {error}")
        if wanted.path is not None and self.is_ruled(wanted.path):
            return None
        key = self._key(wanted, request.headers.get("accept"))
        cached = await self._find(key)
        if cached is not None:
            value, state = cached
            if state is Freshness.STALE:
                self._refresh(key, wanted, request.headers.get("accept"))
            return _image(request, wanted, value, "STALE" if state is Freshness.STALE else "HIT")
        try:
            accept = request.headers.get("accept")
            value = await self.runtime.flight.run(key, lambda: self._make(key, wanted, accept))
        except ImageSourceError as error:
            if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                self.runtime.log.event("warning", "image.failed", source=wanted.source, error=str(error))
            return _text(error.status, str(error))
        return _image(request, wanted, value, "MISS")

    def _key(self, wanted: ImageRequest, accept: str | None) -> str:
        # Only the formats that the browser takes are part of the key: the source's own format is not known yet.
        formats = negotiate(accept, ImageFormat.JPEG, self.rules.formats).extension
        asked = [wanted.source, wanted.width, wanted.quality, formats, self.transformer is not None]
        digest = hashlib.sha256(to_utf8(json_text(asked))).hexdigest()[:_KEY_CHARACTERS]
        build = f"{self.build_id}:" if self.build_id and wanted.path else ""
        return f"image:{build}{digest}"

    async def _find(self, key: str) -> tuple[ImageValue, Freshness] | None:
        try:
            entry = await self.entries.read(key)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises must not fail a request
            self.runtime.log.event("error", "cache.read_failed", key=key, error=str(error))
            return None
        if entry is None or not isinstance(entry.value, ImageValue) or entry.value.extension not in _BY_EXTENSION:
            return None
        return entry.value, freshness(entry, self.runtime.clock())

    def _refresh(self, key: str, wanted: ImageRequest, accept: str | None) -> None:
        what = f"making the image {wanted.source}"
        self.runtime.run_once(f"refresh {key}", lambda: self._make(key, wanted, accept), what)

    async def _make(self, key: str, wanted: ImageRequest, accept: str | None) -> ImageValue:
        """Transform an image and store it. Raise ImageSourceError if its source cannot be read."""
        started_at_ms = self.runtime.clock()
        source, period_seconds = await self._source(wanted)
        if source.size_bytes > MAX_BODY_BYTES:
            raise ImageSourceError(f"The image has more than {MAX_BODY_BYTES} bytes", HTTPStatus.BAD_REQUEST)
        body, kind = await self._transformed(source, wanted, accept)
        value = ImageValue(etag=f'"{await self.digest(body)}"', buffer=body, extension=kind.extension, revalidate=period_seconds)
        entry = CacheEntry.make(value, (TAG,), started_at_ms, period_seconds)
        self.runtime.background.run(self.entries.write(key, entry), f"keeping the image {wanted.source}")
        return value

    async def _source(self, wanted: ImageRequest) -> tuple[Buffer, float]:
        """Return the source of an image, and the seconds for which the image is fresh."""
        period_seconds = float(self.rules.period_seconds)
        if wanted.path:
            return await self.sources.local(wanted.path), period_seconds
        url = wanted.url or ""
        for _ in range(self.rules.max_redirects + 1):
            found = await self.sources.remote(url)
            if isinstance(found, RemoteImage):
                return found.body, max(period_seconds, found.max_age_seconds or 0)
            try:
                url = redirected_url(found.location, url, self.rules)
            except ImageRefusedError as error:
                raise ImageSourceError(f"{wanted.url} redirects: {error}", HTTPStatus.BAD_GATEWAY) from error
        raise ImageSourceError(f"{wanted.url} redirects more than {self.rules.max_redirects} times", HTTPStatus.BAD_GATEWAY)

    async def _transformed(self, source: Buffer, wanted: ImageRequest, accept: str | None) -> tuple[Body, ImageFormat]:
        head = source.head(SNIFFED_BYTES)
        kind = sniff(head)
        if kind is None or (kind is ImageFormat.SVG and not self.rules.allows_svg):
            raise ImageSourceError("The requested resource is not an allowed image type", HTTPStatus.BAD_REQUEST)
        if self.transformer is None or kind in UNTOUCHED or is_animated(kind, head):
            return source, kind
        target = negotiate(accept, kind, self.rules.formats)
        try:
            return await self.transformer.transform(source, target, wanted.width, wanted.quality), target
        except ImageTransformError as error:
            self.runtime.log.event("warning", "image.not_transformed", source=wanted.source, error=str(error))
            return source, kind


def _image(request: PageRequest, wanted: ImageRequest, value: ImageValue, state: str) -> WholeResponse:
    is_hashed = wanted.path is not None and wanted.path.startswith(_HASHED_FOLDER)
    seconds = int(value.revalidate or 0)
    headers: HeaderItems = (
        ("cache-control", _IMMUTABLE if is_hashed else f"public, max-age={seconds}, must-revalidate"),
        ("vary", "Accept"),
        ("etag", value.etag),
        ("content-security-policy", _CONTENT_SECURITY_POLICY),
        ("x-content-type-options", "nosniff"),
    )
    if matches_etag(request.headers.get("if-none-match"), value.etag):
        return WholeResponse(HTTPStatus.NOT_MODIFIED, headers, None)
    headers = (
        *headers,
        ("content-type", _BY_EXTENSION[value.extension].value),
        ("content-disposition", "inline"),
        ("x-vinext-cache", state),
        ("x-nextjs-cache", state),
    )
    return WholeResponse(HTTPStatus.OK, headers, None if request.method == "HEAD" else value.buffer)


def _text(status: int, text: str, headers: tuple[tuple[str, str], ...] = ()) -> WholeResponse:
    fixed = (("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store"), ("x-content-type-options", "nosniff"))
    return WholeResponse(status, (*fixed, *headers), text_body(text))
