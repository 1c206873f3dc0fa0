"""The URL of a server, as somebody has typed it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from vinext_worker.errors import UserError

if TYPE_CHECKING:
    from urllib.parse import SplitResult


def server_url(url: str) -> SplitResult:
    """Return the parts of a URL; raise UserError if it is none of a server."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")
        is_right = parts.scheme in {"http", "https"} and host != b"" and parts.port != 0
    except ValueError:
        # A broken IPv6 address, a name that is none, or a port out of range.
        is_right = False
    if not is_right:
        raise UserError(f"{url!r} is no URL of a server; write it as https://HOST")
    return parts


def server_origin(url: str) -> str:
    """Return scheme, host and port of a URL; raise UserError as `server_url` does."""
    parts = server_url(url)
    return f"{parts.scheme}://{parts.netloc}"
