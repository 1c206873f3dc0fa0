"""Requests to a remote server: retried if that can help, and with no secret in any message."""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

import click
import httpx2 as httpx
import stamina
import stamina.instrumentation

from vinext_worker.errors import RemoteError, UserError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

_NEXT_TRY_SECONDS = 1.0
_CHUNK_BYTES = 256 * 1024
_SHOWN_CHARACTERS = 300
_MAX_RETRY_AFTER_SECONDS = 300.0

# stamina's own hook logs to standard error; here `on_retry` reports a retry.
stamina.instrumentation.set_on_retry_hooks([])


@dataclass(frozen=True)
class RetryPolicy:
    """The number of attempts, and the time between them if the server does not name one."""

    attempts: int = 8
    first_wait_seconds: float = 0.5
    max_wait_seconds: float = 30
    timeout_seconds: float = 120
    unreachable_seconds: float = 3
    """How long to try until the first answer of any kind; without a network there is none."""


class _TransientError(Exception):
    """A retry may help; `retry_after_seconds` is the time that the server asks for."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(message)


class _UnreachableError(_TransientError):
    """There is no connection."""


def _say(text: str) -> None:
    click.echo(text, err=True)


def require_token(token: str, name: str) -> None:
    """Raise UserError for a token that no header can carry."""
    if not token.isascii() or not token.isprintable() or " " in token:
        raise UserError(f"{name} is no token: it has spaces, or characters that a header cannot carry; set it again")


class RetryingClient:
    """An HTTP client for one server and one bearer token.

    It retries 429, 5xx, broken connections and timeouts, and waits as long as `Retry-After` says (RFC 9110, 10.2.3). A request
    must do no harm if it is made twice. `advice` is for whoever cannot reach the server.
    """

    def __init__(  # noqa: PLR0913 - settings, each by its name
        self,
        base_url: str,
        token: str,
        *,
        server: str,
        token_name: str,
        advice: str = "check the network",
        retry: RetryPolicy | None = None,
        on_retry: Callable[[str], None] = _say,
    ) -> None:
        require_token(token, token_name)
        self._server = server
        self._advice = advice
        self._token = token
        self._retry = retry or RetryPolicy()
        self._on_retry = on_retry
        self._first_try_at: float | None = None
        self._was_reached = False
        """Once it was, it is worth waiting for."""
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(
                self._retry.timeout_seconds, connect=min(self._retry.unreachable_seconds, self._retry.timeout_seconds)
            ),
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
        """Send a request and return the answer, whose status is neither 429 nor 5xx. `parts` are the body, not joined in memory.

        Raises RemoteError if no attempt gets such an answer.
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
        except _UnreachableError as error:
            raise RemoteError(f"{self._server} cannot be reached ({error}); {self._advice}, then run this again") from None
        except _TransientError as error:
            message = f"{self._server} failed {policy.attempts} times: {error}; run the command again to continue"
            raise RemoteError(message) from None
        raise AssertionError  # retry_context ends with an answer or an error

    def scrub(self, text: str) -> str:
        """Return the text for a message: without the token, and not too long."""
        return text.replace(self._token, "***")[:_SHOWN_CHARACTERS]

    async def _once(
        self, method: str, path: str, parameters: Mapping[str, str] | None, headers: Mapping[str, str], parts: Sequence[bytes]
    ) -> httpx.Response:
        if self._first_try_at is None:
            self._first_try_at = time.monotonic()
        try:
            response = await self._http.request(
                method, path, params=parameters, headers=headers, content=_chunks(parts) if parts else None
            )
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise _UnreachableError(self.scrub(str(error) or "no connection in time")) from error
        except httpx.TimeoutException as error:
            raise _TransientError("it took too long") from error
        except httpx.TransportError as error:
            raise _TransientError(self.scrub(str(error) or type(error).__name__)) from error
        except httpx.HTTPError as error:
            raise RemoteError(f"{self._server} cannot be reached: {self.scrub(str(error))}") from None
        self._was_reached = True
        status = response.status_code
        if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            said = self.scrub(response.text.strip())
            raise _TransientError(f"status {status} {said}".strip(), _retry_after(response.headers.get("retry-after")))
        return response

    def _wait(self, error: Exception) -> bool | float:
        if not isinstance(error, _TransientError):
            return False
        if (
            isinstance(error, _UnreachableError)
            and not self._was_reached
            and time.monotonic() - (self._first_try_at or 0) >= self._retry.unreachable_seconds - _NEXT_TRY_SECONDS
        ):
            return False
        self._on_retry(f"{self._server}: {error}; retrying …")
        seconds = error.retry_after_seconds
        if seconds is None:
            return True
        return seconds if seconds <= _MAX_RETRY_AFTER_SECONDS else False


async def _chunks(parts: Sequence[bytes]) -> AsyncIterator[bytes]:
    """Join parts into chunks that are large enough for a system call each."""
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
    """Return the seconds that a `Retry-After` header asks for, as a number or a date; None if it is neither."""
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
