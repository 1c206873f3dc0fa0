"""Whether the page handler of a deployed app answers, and of which build it is."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx2 as httpx

from core.http import APP_BUILD_HEADER
from vinext_worker.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PATH = "/__vinext-worker-check"
"""The adapter's Worker entry knows it, too."""
_TIMEOUT_SECONDS = 30


def require_page_handler(url: str, headers: Mapping[str, str], build_id: str, *, is_live: bool) -> bool:
    """Send a request that no cache answers, for a page that does not exist; return whether it has reached a build.

    With `is_live`, all visitors should get that build. An app without the adapter does not tell its build, which counts as
    reached. Raise UserError if the answer is an error of the server, or another build's although that one is live.
    """
    try:
        response = httpx.post(f"{url}{_PATH}", headers=dict(headers), timeout=_TIMEOUT_SECONDS)
    except httpx.HTTPError as error:
        raise UserError(f"{url} cannot be reached ({str(error) or type(error).__name__})") from error
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise UserError(f"{url}: the page handler answers with status {response.status_code}; look at its log")
    given = response.headers.get(APP_BUILD_HEADER)
    is_reached = given in {None, build_id}
    if is_live and not is_reached:
        raise UserError(f"{url}: the page handler that answers is of build {given}, not of {build_id}")
    return is_reached
