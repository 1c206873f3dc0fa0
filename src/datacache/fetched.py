"""HTTP requests whose answers are kept."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol, cast

from core.body import parse_json
from core.errors import CorruptValueError, InvalidArgumentError, VinextWorkerError
from datacache.cached import CachedFunction, NotKept
from pages.policy import require_periods, require_valid_tags

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pages.policy import Revalidate

_KEY = "cached_fetch"


class FetchError(VinextWorkerError):
    """A failure to reach a server, or an answer that broke off."""


@dataclass(frozen=True)
class FetchedResponse:
    """A whole answer; header names are in lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is one of success (200 to 299)."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    def text(self) -> str:
        """Return the body as UTF-8 text; invalid bytes become U+FFFD."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Parse the body as JSON; raises ValueError."""
        try:
            return parse_json(self.body)
        except CorruptValueError as error:
            raise ValueError(str(error)) from error


async def cached_fetch(
    url: str,
    *,
    revalidate: Revalidate = None,
    tags: Iterable[str] | str = (),
    headers: Mapping[str, str] | None = None,
) -> FetchedResponse:
    """GET a URL and keep the answer as `@cached` keeps results, under its URL and headers; only a 200 is kept.

    `revalidate` 0 requests anew each time. Raises FetchError where there is no answer.
    """
    if not url.startswith(("http://", "https://")):
        raise InvalidArgumentError("url", url, "a URL that begins with http:// or https://")
    require_periods(_KEY, revalidate, None)
    own_tags = require_valid_tags(_KEY, tags)
    given = {name.lower(): value for name, value in sorted((headers or {}).items())}
    work = CachedFunction(_fetch, (_KEY,), _KEY, own_tags, revalidate)
    answer = cast("dict[str, Any]", await work.call((url, given), {}))
    return FetchedResponse(answer["url"], answer["status"], answer["headers"], base64.b64decode(answer["body"]))


class Fetcher(Protocol):
    """A function that makes a GET request."""

    async def __call__(self, url: str, headers: Mapping[str, str]) -> FetchedResponse:
        """Return the answer, with redirects followed. Raises FetchError where there is none."""


def set_fetcher(fetcher: Fetcher) -> None:
    """Make requests with `fetcher` from now on: the runtime's, or a test's."""
    _Used.fetcher = fetcher


async def _fetch(url: str, headers: Mapping[str, str]) -> object:
    if _Used.fetcher is None:
        raise FetchError("no fetcher is set outside of the Worker; call set_fetcher() first")
    response = await _Used.fetcher(url, headers)
    result = {
        "url": response.url,
        "status": response.status,
        "headers": dict(response.headers),
        "body": base64.b64encode(response.body).decode(),
    }
    return result if response.status == HTTPStatus.OK else NotKept(result)


class _Used:
    fetcher: Fetcher | None = None
