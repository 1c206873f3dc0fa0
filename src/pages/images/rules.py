"""Which images may be asked for, and how.

The defaults are those of Next.js (https://nextjs.org/docs/app/api-reference/components/image#configuration-options).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DEFAULT_WIDTHS = (32, 48, 64, 96, 128, 256, 384, 640, 750, 828, 1080, 1200, 1920, 2048, 3840)
DEFAULT_QUALITIES = (75,)
_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")
_ORIGIN = re.compile(r"https?://[a-z0-9.:\[\]-]+")
_ADDRESS = re.compile(r"[0-9.]+|0x[0-9a-f.x]+|\[.*\]|.*:.*")


@dataclass(frozen=True, slots=True)
class ImageRules:
    """`hosts` are remote hosts from which images may come: `a.example`, `*.a.example` (hosts below it), or an origin."""

    widths: tuple[int, ...] = DEFAULT_WIDTHS
    qualities: tuple[int, ...] = DEFAULT_QUALITIES
    hosts: tuple[str, ...] = ()
    allows_svg: bool = False


def read_hosts(text: str) -> tuple[str, ...]:
    """Read a list of hosts; raises ValueError saying what is allowed."""
    hosts = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    if not all((_HOST.fullmatch(host) and not _ADDRESS.fullmatch(host)) or _ORIGIN.fullmatch(host) for host in hosts):
        raise ValueError("hosts with commas between them: a.example, *.a.example, or an origin such as https://a.example:8443")
    return hosts


def is_allowed_origin(scheme: str, authority: str, hosts: tuple[str, ...]) -> bool:
    """Whether images may come from there. A host is reached by https on its usual port and is never an IP address."""
    if f"{scheme}://{authority}" in hosts:
        return True
    if scheme != "https" or _ADDRESS.fullmatch(authority):
        return False
    return any(authority == host or (host.startswith("*.") and authority.endswith(host[1:])) for host in hosts)
