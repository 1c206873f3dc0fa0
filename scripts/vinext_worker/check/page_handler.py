"""Whether the page handler of a deployed app answers at all."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx2 as httpx

from vinext_worker.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PATH = "/__vinext-worker-check"
_TIMEOUT_SECONDS = 30


def require_page_handler(url: str, headers: Mapping[str, str]) -> None:
    """Send a request that no cache answers, for a page that does not exist; raise UserError if that is an error of the server."""
    try:
        response = httpx.post(f"{url}{_PATH}", headers=dict(headers), timeout=_TIMEOUT_SECONDS)
    except httpx.HTTPError as error:
        raise UserError(f"{url} cannot be reached ({str(error) or type(error).__name__})") from error
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise UserError(f"{url}: the page handler answers with status {response.status_code}; look at its log")
