"""Names for contents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import js
from js import Uint8Array

from edge.buffer import body_to_js
from edge.functions import bind, result_of

if TYPE_CHECKING:
    from cache.body import Body

_CHARACTERS = 32


async def digest(body: Body) -> str:
    """The first half of the body's SHA-256, in hexadecimal."""
    subtle = js.crypto.subtle
    found = await result_of(bind(subtle.digest, subtle, "SHA-256", body_to_js(body)))
    data: bytes = Uint8Array.new(found).to_bytes()
    return data.hex()[:_CHARACTERS]
