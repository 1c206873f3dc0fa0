from __future__ import annotations

import random

_NOISE = random.Random(1).randbytes(2 * 1024 * 1024)  # noqa: S311 - no secret


def noise(size_bytes: int) -> bytes:
    """Bytes that do not get smaller by being compressed, 2 MiB at most; the first of them are always the same."""
    return _NOISE[:size_bytes]
