"""The remote hosts from which images may come: `ImageRules.hosts`."""

from __future__ import annotations

import re

_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")
_ORIGIN = re.compile(r"https?://[a-z0-9.:\[\]-]+")
_ADDRESS = re.compile(r"[0-9.]+|0x[0-9a-f.x]+|\[.*\]|.*:.*")


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
