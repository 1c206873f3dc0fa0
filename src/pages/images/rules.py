"""Which images may be asked for: the settings, and the `images` of a vinext app's next.config.

The names, meanings and defaults are those of Next.js (https://nextjs.org/docs/app/api-reference/components/image#configuration-options),
but for the formats: AVIF comes first, as in vinext.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pages.images.formats import ImageFormat

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

DEFAULT_DEVICE_WIDTHS = (640, 750, 828, 1080, 1200, 1920, 2048, 3840)

DEFAULT_IMAGE_WIDTHS = (32, 48, 64, 96, 128, 256, 384)

DEFAULT_QUALITIES = (75,)

NEGOTIATED = (ImageFormat.AVIF, ImageFormat.WEBP)
"""The formats that a browser has to ask for."""

MAX_REDIRECTS = 20

_USUAL_PORTS = {"http": "80", "https": "443"}

# As the URL standard reads hosts: one that ends in a number is an IPv4 address, however it is written.
_ADDRESS = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?|\[.*\]|.*:.*|(?:.*\.)?localhost\.?", re.IGNORECASE)

_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")

_ORIGIN = re.compile(r"https?://[a-z0-9.:\[\]-]+")

_HOST_PATTERN = re.compile(r"[a-z0-9.*\[\]:-]+", re.IGNORECASE)


@dataclass(frozen=True)
class LocalPattern:
    """Files of this site. `*` in `pathname` is one segment, `**` any number; `search` None is any query."""

    pathname: str = "**"
    search: str | None = None

    def matches(self, path: str, search: str) -> bool:
        """Return whether a path, percent-encoded as in URLs, with its query is one of these."""
        return (self.search is None or self.search == search) and _of_path(self.pathname).fullmatch(path) is not None


@dataclass(frozen=True)
class RemotePattern:
    """Files elsewhere. In `hostname`, `*` is one label, `**` one or more. None is anything; the port "" is the usual one."""

    hostname: str
    protocol: str | None = None
    port: str | None = None
    pathname: str = "**"
    search: str | None = None

    def matches(self, url: SplitResult) -> bool:
        """Return whether a URL is one of these. An IP address is, only if the pattern spells it out."""
        host, port = _host_and_port(url)
        if (self.protocol is not None and self.protocol != url.scheme) or (self.port is not None and self.port != port):
            return False
        if host != self.hostname and (_ADDRESS.fullmatch(host) or not _of_host(self.hostname).fullmatch(host)):
            return False
        search = f"?{url.query}" if url.query else ""
        return (self.search is None or self.search == search) and _of_path(self.pathname).fullmatch(url.path or "/") is not None


def _host_and_port(url: SplitResult) -> tuple[str, str]:
    host, colon, port = url.netloc.rpartition(":")
    if not colon or not port.isdigit():
        return url.netloc, ""
    return host, "" if _USUAL_PORTS.get(url.scheme) == port else port


@lru_cache
def _of_host(pattern: str) -> re.Pattern[str]:
    return _glob(pattern, one=r"[^.]+", many=r".+")


@lru_cache
def _of_path(pattern: str) -> re.Pattern[str]:
    # `/a/**` is `/a`, too, as in Next.js.
    below = pattern.endswith("/**")
    return _glob(pattern[:-3] if below else pattern, one=r"[^/]*", many=r".*", end=r"(?:/.*)?" if below else "")


def _glob(pattern: str, one: str, many: str, end: str = "") -> re.Pattern[str]:
    parts = re.split(r"(\*\*?)", pattern)
    signs = {"**": many, "*": one}
    return re.compile("".join(signs.get(part) or re.escape(part) for part in parts) + end, re.DOTALL)


@dataclass(frozen=True)
class ImageRules:
    """The images that may be asked for, and how they are answered.

    `hosts` are remote hosts from which all images may come: `a.example`, `*.a.example` (hosts below it), or an origin.
    `remote_patterns` add to them. `local_patterns` None is every file of the site. `formats` are those that are answered where
    the browser takes them, the best first. `period_seconds` is how long an image is fresh at least.
    """

    widths: tuple[int, ...] = (*DEFAULT_IMAGE_WIDTHS, *DEFAULT_DEVICE_WIDTHS)
    qualities: tuple[int, ...] = DEFAULT_QUALITIES
    hosts: tuple[str, ...] = ()
    remote_patterns: tuple[RemotePattern, ...] = ()
    local_patterns: tuple[LocalPattern, ...] | None = None
    formats: tuple[ImageFormat, ...] = NEGOTIATED
    period_seconds: int = 14_400
    max_redirects: int = 3
    allows_svg: bool = False

    def allows_local(self, path: str, search: str) -> bool:
        """Return whether images may be made of a file of this site."""
        return self.local_patterns is None or any(pattern.matches(path, search) for pattern in self.local_patterns)

    def allows_remote(self, url: str) -> bool:
        """Return whether images may be made of a file elsewhere."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        return is_allowed_origin(parts.scheme, parts.netloc, self.hosts) or any(
            pattern.matches(parts) for pattern in self.remote_patterns
        )


def is_allowed_origin(scheme: str, authority: str, hosts: tuple[str, ...]) -> bool:
    """Return whether images may come from an origin. A host means https on its usual port, and is never an IP address."""
    if f"{scheme}://{authority}" in hosts:
        return True
    if scheme != "https" or _ADDRESS.fullmatch(authority):
        return False
    return any(authority == host or (host.startswith("*.") and authority.endswith(host[1:])) for host in hosts)


def read_hosts(text: str) -> tuple[str, ...]:
    """Read a list of hosts. Raise ValueError that says what is allowed."""
    hosts = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    if not all((_HOST.fullmatch(host) and not _ADDRESS.fullmatch(host)) or _ORIGIN.fullmatch(host) for host in hosts):
        raise ValueError("hosts with commas between them: a.example, *.a.example, or an origin such as https://a.example:8443")
    return hosts


def read_formats(text: str) -> tuple[ImageFormat, ...]:
    """Read a list of formats. Raise ValueError that says what is allowed."""
    names = {kind.extension: kind for kind in NEGOTIATED} | {kind.value: kind for kind in NEGOTIATED}
    wanted = [part.strip() for part in text.split(",")] if text.strip() else []
    if not set(wanted) <= names.keys() or len(wanted) != len(set(wanted)):
        raise ValueError("avif and webp, each at most once, the best first, with a comma between")
    return tuple(names[name] for name in wanted)


def read_remote_patterns(text: str) -> tuple[RemotePattern, ...]:
    """Read remote patterns as Next.js has them, in JSON. Raise ValueError that says what is allowed."""
    return _patterns(text, _remote_pattern, "hostname, and maybe protocol, port, pathname and search")


def read_local_patterns(text: str) -> tuple[LocalPattern, ...]:
    """Read local patterns as Next.js has them, in JSON. Raise ValueError that says what is allowed."""
    return _patterns(text, _local_pattern, "pathname, search or both")


def _patterns(text: str, read: Any, fields: str) -> tuple[Any, ...]:
    try:
        listed = json.loads(text)
        if isinstance(listed, list):
            return tuple(map(read, listed))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    message = f"a JSON list of objects with {fields}, all strings, with * and ** but no other signs of patterns"
    raise ValueError(message)


def _remote_pattern(given: Mapping[str, Any]) -> RemotePattern:
    fields = _strings(given, {"protocol", "hostname", "port", "pathname", "search"})
    if "protocol" in fields:
        fields["protocol"] = fields["protocol"].removesuffix(":")
    pattern = RemotePattern(**{**fields, "hostname": fields["hostname"].lower()})
    is_port = pattern.port in {None, ""} or (pattern.port or "").isdigit()
    if not _HOST_PATTERN.fullmatch(pattern.hostname) or pattern.protocol not in {None, "http", "https"} or not is_port:
        raise ValueError
    return pattern


def _local_pattern(given: Mapping[str, Any]) -> LocalPattern:
    return LocalPattern(**_strings(given, {"pathname", "search"}))


def _strings(given: Mapping[str, Any], names: set[str]) -> dict[str, str]:
    fields = {name: value for name, value in given.items() if value is not None}
    if not fields.keys() <= names or not all(isinstance(value, str) for value in fields.values()):
        raise ValueError
    if not _is_plain(fields.get("pathname", "")):
        raise ValueError
    return fields


def _is_plain(pathname: str) -> bool:
    return not any(sign in pathname for sign in "?[]{}()\\") and "***" not in pathname


def rules_of_app(images: Mapping[str, Any]) -> ImageRules:
    """Return the rules of a vinext app's next.config (its `images`). Raise ValueError, naming the field that is wrong."""
    try:
        return _rules_of_app(images)
    except (TypeError, KeyError, AttributeError) as error:
        message = f"images of next.config cannot be read: {error!r}"
        raise ValueError(message) from error


def _rules_of_app(images: Mapping[str, Any]) -> ImageRules:
    default = ImageRules()
    local = images.get("localPatterns")
    widths = (*images.get("imageSizes", DEFAULT_IMAGE_WIDTHS), *images.get("deviceSizes", DEFAULT_DEVICE_WIDTHS))
    return ImageRules(
        widths=tuple(map(int, widths)),
        qualities=tuple(map(int, images.get("qualities", DEFAULT_QUALITIES))),
        hosts=read_hosts(",".join(images.get("domains", ()))),
        remote_patterns=read_remote_patterns(json.dumps(images.get("remotePatterns", []))),
        local_patterns=None if local is None else read_local_patterns(json.dumps(local)),
        formats=read_formats(",".join(images.get("formats", [kind.value for kind in NEGOTIATED]))),
        period_seconds=int(images.get("minimumCacheTTL", default.period_seconds)),
        max_redirects=min(int(images.get("maximumRedirects", default.max_redirects)), MAX_REDIRECTS),
        allows_svg=images.get("dangerouslyAllowSVG", False) is True,
    )
