"""Images by the runtime's own means (the protocols of `pages.images.endpoint`)."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import js
from js import AbortSignal, Response
from pyodide.ffi import JsException

from core.body import MAX_BODY_BYTES
from core.errors import described
from core.http import REDIRECTS, max_age_seconds
from edge.bodies import JsBuffer, StreamCopy, body_to_js
from edge.promises import js_object
from pages.handler import PageError
from pages.images.endpoint import ImageRedirect, ImageSourceError, ImageTransformError, RemoteImage
from seed.build import AssetsError

if TYPE_CHECKING:
    from core.body import Body, Buffer
    from pages.images.formats import ImageFormat
    from seed.sources import Assets

_TIMEOUT_MS = 10_000

_INVALID = "The requested resource isn't a valid image."


class RuntimeImages:
    """Files of the assets, and of servers elsewhere by `fetch`, without anything of the visitor."""

    def __init__(self, assets: Assets) -> None:
        self._assets = assets

    async def local(self, path: str) -> Buffer:
        try:
            image = await self._assets.get(path)
        except AssetsError as error:
            raise ImageSourceError(str(error), HTTPStatus.BAD_REQUEST) from error
        if image is None:
            raise ImageSourceError(_INVALID, HTTPStatus.BAD_REQUEST)
        return image

    async def remote(self, url: str) -> RemoteImage | ImageRedirect:
        try:
            signal = AbortSignal.timeout(_TIMEOUT_MS)
            response = await js.fetch(url, redirect="manual", headers=js_object({"Accept": "image/*"}), signal=signal)
            if response.status != HTTPStatus.OK:
                if response.body:
                    await response.body.cancel()
                location = response.headers.get("location")
                if response.status in REDIRECTS and location:
                    return ImageRedirect(location)
                raise ImageSourceError(f"{url} answered {response.status}", _status_for(response.status))
            body = await StreamCopy(response.body).read(MAX_BODY_BYTES)
        except (JsException, PageError) as error:
            raise ImageSourceError(f"{url} did not answer: {error}", HTTPStatus.BAD_GATEWAY) from error
        if not isinstance(body, JsBuffer):
            raise ImageSourceError(f"{url} has more than {MAX_BODY_BYTES} bytes", HTTPStatus.BAD_REQUEST)
        return RemoteImage(body, max_age_seconds(response.headers.get("cache-control")))


def _status_for(status: int) -> int:
    """Return the status with which a remote image is answered that is not there: the client's fault is passed on."""
    is_for_client = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    return status if is_for_client else HTTPStatus.BAD_GATEWAY


class ImagesBinding:
    """The `IMAGES` binding (https://developers.cloudflare.com/images/transform-images/bindings/)."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def transform(self, source: Body, kind: ImageFormat, width: int, quality: int) -> Body:
        stream = Response.new(body_to_js(source)).body
        try:
            image = self._binding.input(stream).transform(js_object({"width": width, "fit": "scale-down"}))
            transformed = await image.output(js_object({"format": kind.value, "quality": quality}))
            response = transformed.response()
            body = JsBuffer.of(await response.arrayBuffer())
        except JsException as error:
            raise ImageTransformError(described(error)) from error
        if response.status != HTTPStatus.OK or not body.size_bytes:
            raise ImageTransformError(f"status {response.status} and {body.size_bytes} bytes")
        return body
