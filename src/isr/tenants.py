"""The sites of one Worker: which hosts it caches, and the prefix that keeps each one's keys apart."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

from cache.keys import keeps_apart

if TYPE_CHECKING:
    from collections.abc import Mapping

_MARK = "{label}"

# One label of a host (RFC 1123, 2.1); a prefix that is made of it has no colon and no underscore.
_OF_LABELS = set("abcdefghijklmnopqrstuvwxyz0123456789-")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")

_PAIRS = (
    "HOST=PREFIX pairs with commas between them, each host once, no prefix with a colon; "
    "*.HOST takes {label} in its prefix once, which is what stands for the asterisk"
)


@dataclass(frozen=True)
class TenantPattern:
    """All hosts one label below `domain`. `head` and `tail` stand around the label in their prefixes."""

    domain: str
    head: str
    tail: str

    def prefix_of(self, host: str) -> str | None:
        """Return the prefix of a host, None if it is none of these."""
        label, dot, domain = host.partition(".")
        return f"{self.head}{label}{self.tail}" if dot and domain == self.domain and _LABEL.fullmatch(label) else None

    def makes(self, prefix: str) -> bool:
        """Return whether a host of these may have the prefix."""
        head, tail = self.head, self.tail
        if len(prefix) < len(head) + len(tail) or not (prefix.startswith(head) and prefix.endswith(tail)):
            return False
        return _LABEL.fullmatch(prefix[len(head) : len(prefix) - len(tail)]) is not None

    def clashes_with(self, other: TenantPattern) -> bool:
        """Return whether a host of these may have the prefix of one of the other's."""
        return _may_meet(self.head, other.head) and _may_meet(self.tail[::-1], other.tail[::-1])


def _may_meet(one: str, other: str) -> bool:
    """Return whether a text may go on, with characters of a label, as another begins."""
    shorter, longer = sorted((one, other), key=len)
    return longer.startswith(shorter) and set(longer[len(shorter) :]) <= _OF_LABELS


@dataclass(frozen=True)
class Tenants:
    """The hosts that are cached: some by name, and all of some patterns. Without any, all hosts are one site."""

    hosts: Mapping[str, str] = field(default_factory=dict)
    patterns: tuple[TenantPattern, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.hosts or self.patterns)

    def prefix_of(self, host: str) -> str | None:
        """Return the prefix of a host in lower case, None if it is no tenant. A name comes before a pattern.

        Who chooses a label never chooses the prefix of a host that is named.
        """
        named = self.hosts.get(host)
        if named is not None or not self.patterns:
            return named
        prefix = next((found for pattern in self.patterns if (found := pattern.prefix_of(host)) is not None), None)
        return None if prefix is None or prefix in self.prefixes or not keeps_apart(prefix) else prefix

    @cached_property
    def prefixes(self) -> frozenset[str]:
        """The prefixes of the hosts that are named."""
        return frozenset(self.hosts.values())

    @property
    def are_several(self) -> bool:
        """Whether there may be more than one site."""
        return bool(self.patterns) or len(self.prefixes) > 1

    def makes(self, prefix: str) -> bool:
        """Return whether a pattern makes the prefix."""
        return prefix not in self.prefixes and any(pattern.makes(prefix) for pattern in self.patterns)


def read_tenants(text: str) -> Tenants:
    """Read `VINEXT_TENANTS`; raise ValueError with what is allowed."""
    hosts: dict[str, str] = {}
    patterns: list[TenantPattern] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, prefix = (piece.strip() for piece in part.partition("="))
        host = name.lower()
        if not host or not prefix or ":" in prefix or host in hosts:
            raise ValueError(_PAIRS)
        if host.startswith("*."):
            patterns.append(_pattern(host[2:], prefix))
        elif "*" in host or "{" in prefix or "}" in prefix:
            raise ValueError(_PAIRS)
        else:
            hosts[host] = required_prefix(prefix)
    if len({pattern.domain for pattern in patterns}) < len(patterns):
        raise ValueError(_PAIRS)
    if any(one.clashes_with(other) for one, other in combinations(patterns, 2)):
        raise ValueError("patterns of which no two may make the same prefix, as {label} and shop-{label} do, or {label} twice")
    return Tenants(hosts, tuple(patterns))


def _pattern(domain: str, template: str) -> TenantPattern:
    head, mark, tail = template.partition(_MARK)
    if not mark or "{" in head + tail or "}" in head + tail or "*" in domain or "." not in domain.strip("."):
        raise ValueError(_PAIRS)
    required_prefix(f"{head}a{tail}")
    return TenantPattern(domain, head, tail)


def required_prefix(text: str) -> str:
    """Return the prefix of an app; raise ValueError if its keys could be another's."""
    if not keeps_apart(text):
        raise ValueError(
            "a prefix without cache or __… between its colons; a and a:cache, for example, would have keys in common"
        )
    return text
