from __future__ import annotations

from cache.frozen import frozen


@frozen
class Skipped:
    """A page that is left out, and why, in a few words for a person. `path` is "" where the row has none."""

    path: str
    reason: str
