"""Draft mode: a visitor with the build's secret in a cookie sees pages as they are rendered just now. Pure functions.

The cookie is the same for both routers of Next.js (`draftMode()`, and `setPreviewData()` of the Pages Router).
"""

from __future__ import annotations

import hashlib
from hmac import compare_digest
from urllib.parse import unquote

COOKIE = "__prerender_bypass"


def is_draft(cookies: str | None, secret_digest: str) -> bool:
    """Return whether a Cookie field puts a visitor into draft mode; `secret_digest` is as in `seed.build.Build`.

    A cookie with anything else for a secret is as if it were not there. Without a digest every such cookie counts, because
    the page handler may know better.
    """
    if cookies is None or COOKIE not in cookies:
        return False
    if not secret_digest:
        return True
    given = [value for name, _, value in (part.partition("=") for part in cookies.split(";")) if name.strip() == COOKIE]
    return any(compare_digest(_digest(value), secret_digest) for value in given)


def _digest(value: str) -> str:
    """Digest a value without its quotes and percent-encoded or not, as vinext reads it."""
    plain = unquote(value.strip().strip('"'), errors="surrogateescape")
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()
