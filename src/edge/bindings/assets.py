"""The files deployed with the Worker."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from js import Object
from pyodide.ffi import JsException, to_js

from edge.bodies import JsBuffer
from edge.http import ServiceResponse
from edge.promises import Deadline, bind
from seed.build import AssetsError

if TYPE_CHECKING:
    from core.body import Buffer
    from pages.handler import PageResponse
    from pages.request import PageRequest

# The host is not looked at, but a URL must have one.
_ORIGIN = "https://assets.invalid"

_TIMEOUT_MS = 5_000


class AssetsBinding:
    """The `ASSETS` binding."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding
        self._options = to_js({"redirect": "manual"}, dict_converter=Object.fromEntries)
        self._deadline = Deadline(_TIMEOUT_MS, "nothing came")

    async def get(self, path: str) -> Buffer | None:
        try:
            response = await self._deadline.value(bind(self._binding.fetch, self._binding, f"{_ORIGIN}{path}", self._options))
            if response.status == HTTPStatus.OK:
                return JsBuffer.of(await self._deadline.value(bind(response.arrayBuffer, response)))
            if response.body:
                await response.body.cancel()
        except (JsException, TimeoutError) as error:
            raise AssetsError(f"the assets did not answer for {path}: {error}") from error
        if response.status == HTTPStatus.NOT_FOUND:
            return None
        raise AssetsError(f"the assets answered {response.status} for {path}")

    async def file(self, request: PageRequest) -> PageResponse | None:
        try:
            response = await self._deadline.value(bind(self._binding.fetch, self._binding, request.raw))
            if response.status != HTTPStatus.NOT_FOUND:
                return ServiceResponse(response)
            if response.body:
                await response.body.cancel()
        except (JsException, TimeoutError) as error:
            raise AssetsError(f"the assets did not answer for {request.path}: {error}") from error
        return None


class NoAssets:
    """No assets, where the binding is missing."""

    async def get(self, path: str) -> Buffer | None:
        del path
        return None

    async def file(self, request: PageRequest) -> PageResponse | None:
        del request
        return None
