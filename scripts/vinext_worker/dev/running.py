"""What other commands on this machine have to know of a running `dev`: its address, and the token of its Worker."""

from __future__ import annotations

import json
import os
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from core.paths import INSPECT_URL
from isr.inspect_session import LINK_SECONDS, link_code

if TYPE_CHECKING:
    from pathlib import Path

_FILE = "dev.json"


@dataclass(frozen=True)
class RunningDev:
    """A `dev` that serves at `url`."""

    url: str
    token: str

    @classmethod
    def find(cls, folder: Path) -> RunningDev | None:
        """Return the one that uses a project's own folder, None if there is none. One that was killed may still be told of."""
        try:
            document = json.loads((folder / _FILE).read_text())
            os.kill(document["pid"], 0)
            return cls(document["url"], document["token"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def serves(self, url: str) -> bool:
        """Return whether a URL is one of its own."""
        own, other = urlsplit(self.url), urlsplit(url)
        return (own.scheme, own.netloc) == (other.scheme, other.netloc.replace("localhost", "127.0.0.1"))

    def note(self, folder: Path) -> None:
        """Let other commands find it. Only this user may read the token."""
        self.forget(folder)
        document = json.dumps({"pid": os.getpid(), "url": self.url, "token": self.token})
        with os.fdopen(os.open(folder / _FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(document)

    @staticmethod
    def forget(folder: Path) -> None:
        """Let other commands find none."""
        (folder / _FILE).unlink(missing_ok=True)

    def sign_in_link(self) -> str:
        """Return the URL that opens its inspector, once and within a minute. The token is not in it."""
        code = link_code(self.token, int(time.time()) + LINK_SECONDS - 1, secrets.token_urlsafe(16))
        return f"{self.url.rstrip('/')}{INSPECT_URL}?{urlencode({'once': code})}"
