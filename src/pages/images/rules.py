"""Which images may be asked for, and how.

The defaults are those of Next.js (https://nextjs.org/docs/app/api-reference/components/image#configuration-options).
"""

from __future__ import annotations

from cache.frozen import frozen

DEFAULT_WIDTHS = (32, 48, 64, 96, 128, 256, 384, 640, 750, 828, 1080, 1200, 1920, 2048, 3840)
DEFAULT_QUALITIES = (75,)


@frozen
class ImageRules:
    """`hosts` are remote hosts from which images may come: `a.example`, `*.a.example` (hosts below it), or an origin."""

    widths: tuple[int, ...] = DEFAULT_WIDTHS
    qualities: tuple[int, ...] = DEFAULT_QUALITIES
    hosts: tuple[str, ...] = ()
    allows_svg: bool = False
