"""The sign-in of the inspector: a cookie that only somebody with the token can have made, for a short time."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from core.paths import ADMIN_FOLDER
from core.recent import Recent

if TYPE_CHECKING:
    from core.runtime import Clock
    from pages.request import PageRequest

COOKIE = "vinext-inspect"

SESSION_SECONDS = 15 * 60

MAX_WRONG = 10
"""Wrong tokens that an address may send in WRONG_SECONDS."""

WRONG_SECONDS = 60

LINK_SECONDS = 60
"""For so long a link signs in, once."""

_LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})


class Sessions:
    """Signs in, and knows who has. Nothing is kept but the number of wrong tokens by address."""

    def __init__(self, token: str, clock: Clock) -> None:
        self._token = token
        self._clock = clock
        self._wrong: Recent[str, tuple[int, int]] = Recent(fact_bytes=lambda address, _: len(address) + 64)
        self._used: Recent[str, None] = Recent()

    def cookie_for(self, request: PageRequest, given: str) -> str | None:
        """Return the Set-Cookie for the right token, None for a wrong one. Call it only if `may_try`."""
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self._token.encode()):
            self._note_wrong(request)
            return None
        return self._cookie(request)

    def cookie_for_link(self, request: PageRequest, code: str) -> str | None:
        """Return the Set-Cookie for the code of a link (`link_code`), None for one that was used, is old or is none.

        Another isolate does not know that a link was used. So there are links for this machine only, where there is one isolate.
        """
        until, _, nonce = code.rpartition(".")[0].partition(".")
        if request.host not in _LOCAL_HOSTS or not (until.isascii() and until.isdecimal()):
            return None
        is_signed = hmac.compare_digest(code.encode("utf-8", "replace"), link_code(self._token, int(until), nonce).encode())
        now = self._clock() // 1000
        if not is_signed:
            self._note_wrong(request)
            return None
        if not now < int(until) <= now + LINK_SECONDS or nonce in self._used:
            return None
        self._used[nonce] = None
        return self._cookie(request)

    def _note_wrong(self, request: PageRequest) -> None:
        since, count = self._failures(request)
        self._wrong[_address(request)] = since, count + 1

    def _cookie(self, request: PageRequest) -> str:
        until = str(self._clock() // 1000 + SESSION_SECONDS)
        return _set_cookie(request, f"{until}.{self._signed('session', until)}", SESSION_SECONDS)

    def may_try(self, request: PageRequest) -> bool:
        """Return whether the sender's address has not sent too many wrong tokens a moment ago."""
        return self._failures(request)[1] < MAX_WRONG

    def csrf(self, request: PageRequest) -> str | None:
        """Return what every form of the sender's has to hold, None if the sender has not signed in."""
        for part in (request.headers.get("cookie") or "").split(";"):
            name, _, cookie = part.strip().partition("=")
            until, _, signature = cookie.partition(".")
            if name != COOKIE or not (until.isascii() and until.isdecimal()):
                continue
            is_signed = hmac.compare_digest(signature.encode("utf-8", "replace"), self._signed("session", until).encode())
            if is_signed and self._clock() < int(until) * 1000:
                return self._signed("form", cookie)
        return None

    def _failures(self, request: PageRequest) -> tuple[int, int]:
        now = self._clock() // 1000
        since, count = self._wrong.get(_address(request), (now, 0))
        return (since, count) if now - since < WRONG_SECONDS else (now, 0)

    def _signed(self, purpose: str, text: str) -> str:
        return _signed(self._token, purpose, text)


def link_code(token: str, until: int, nonce: str) -> str:
    """Return the code of a link that signs in once, until a time in epoch seconds; `nonce` is random."""
    return f"{until}.{nonce}.{_signed(token, 'link', f'{until}.{nonce}')}"


def _signed(token: str, purpose: str, text: str) -> str:
    return hmac.new(token.encode(), f"{purpose}:{text}".encode("utf-8", "replace"), "sha256").hexdigest()


def end_cookie(request: PageRequest) -> str:
    """Return the Set-Cookie that signs out."""
    return _set_cookie(request, "", 0)


def _set_cookie(request: PageRequest, text: str, seconds: int) -> str:
    secure = "; Secure" if request.origin.startswith("https:") else ""
    return f"{COOKIE}={text}; Path=/{ADMIN_FOLDER}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"


def _address(request: PageRequest) -> str:
    # Cloudflare sets it, whatever the sender says.
    return (request.headers.get("cf-connecting-ip") or "")[:64]
