"""Requests to a server that is far away: tried again where that can help, and without a secret in any message."""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

import httpx2 as httpx
import stamina
import stamina.instrumentation

from vinext_worker.errors import RemoteError, UserError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

_CHUNK_BYTES = 256 * 1024
_SHOWN_CHARACTERS = 300
_MAX_RETRY_AFTER_SECONDS = 300.0

# Its own hook writes to standard error through `logging`; what is of interest is told by `on_retry`.
stamina.instrumentation.set_on_retry_hooks([])


@dataclass(frozen=True)
class RetryPolicy:
    """How often a request is tried and how long it is waited in between, where the server does not say how long."""

    attempts: int = 8
    first_wait_seconds: float = 0.5
    max_wait_seconds: float = 30
    timeout_seconds: float = 120


class _TransientError(Exception):
    """Trying again may help; `retry_after_seconds` is what the server asks for."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(message)


class RetryingClient:
    """An HTTP client for one server and one bearer token.

    429, 5xx, broken connections and time-outs are tried again, after `Retry-After` where the server says so (RFC 9110, 10.2.3).
    Requests must be such that doing them twice does no harm.
    """

    def __init__(  # noqa: PLR0913 - settings, each by its name
        self,
        base_url: str,
        token: str,
        *,
        server: str,
        token_name: str,
        retry: RetryPolicy | None = None,
        on_retry: Callable[[str], None] = lambda _: None,
    ) -> None:
        if not token.isascii() or not token.isprintable() or " " in token:
            raise UserError(f"{token_name} is no token: it has blanks or characters that a header cannot carry; set it anew")
        self._server = server
        self._token = token
        self._retry = retry or RetryPolicy()
        self._on_retry = on_retry
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(self._retry.timeout_seconds, connect=min(30, self._retry.timeout_seconds)),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._http.aclose()

    async def request(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, str] | None = None,
        parts: Sequence[bytes] = (),
        content_type: str = "application/json",
    ) -> httpx.Response:
        """Send a request and give the answer, whatever its status but 429 and 5xx; `parts` are the body, not joined in memory.

        Raises RemoteError where no attempt got an answer.
        """
        headers = {}
        if parts:
            headers = {"Content-Type": content_type, "Content-Length": str(sum(map(len, parts)))}
        policy = self._retry
        try:
            async for attempt in stamina.retry_context(
                on=self._wait,
                attempts=policy.attempts,
                timeout=None,
                wait_initial=policy.first_wait_seconds,
                wait_max=policy.max_wait_seconds,
                wait_jitter=policy.first_wait_seconds,
            ):
                with attempt:
                    return await self._once(method, path, parameters, headers, parts)
        except _TransientError as error:
            message = (
                f"{self._server} failed {policy.attempts} times: {error}; run the command again, it goes on where it stopped"
            )
            raise RemoteError(message) from None
        raise AssertionError  # retry_context ends with an answer or an error

    def scrub(self, text: str) -> str:
        """Text for a person, without the token and not too long."""
        return text.replace(self._token, "***")[:_SHOWN_CHARACTERS]

    async def _once(
        self, method: str, path: str, parameters: Mapping[str, str] | None, headers: Mapping[str, str], parts: Sequence[bytes]
    ) -> httpx.Response:
        try:
            response = await self._http.request(
                method, path, params=parameters, headers=headers, content=_chunks(parts) if parts else None
            )
        except httpx.TimeoutException as error:
            raise _TransientError("it took too long") from error
        except httpx.TransportError as error:
            raise _TransientError(self.scrub(str(error) or type(error).__name__)) from error
        except httpx.HTTPError as error:
            raise RemoteError(f"{self._server} cannot be asked: {self.scrub(str(error))}") from None
        status = response.status_code
        if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            said = self.scrub(response.text.strip())
            raise _TransientError(f"status {status} {said}".strip(), _retry_after(response.headers.get("retry-after")))
        return response

    def _wait(self, error: Exception) -> bool | float:
        if not isinstance(error, _TransientError):
            return False
        self._on_retry(str(error))
        seconds = error.retry_after_seconds
        if seconds is None:
            return True
        return seconds if seconds <= _MAX_RETRY_AFTER_SECONDS else False


async def _chunks(parts: Sequence[bytes]) -> AsyncIterator[bytes]:
    """Parts together in pieces of a size that is worth a system call."""
    group: list[bytes] = []
    size = 0
    for part in parts:
        group.append(part)
        size += len(part)
        if size >= _CHUNK_BYTES:
            yield b"".join(group)
            group, size = [], 0
    if group:
        yield b"".join(group)


def _retry_after(value: str | None) -> float | None:
    """Seconds or a date; None for neither."""
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
