"""Workers Cache in front of a Worker, by the rules of its documentation: the local runtime has none.

https://developers.cloudflare.com/workers/cache/: configuration, cache-keys, purge, limitations. Not here are the tiers, stale
content, the collapsing of requests, and the time that a purge takes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from core.http import directives, matches_etag, vary_names

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from core.runtime import Clock

# The most specific one wins; the first is not sent on, nor is Cache-Tag.
POLICIES = ("cloudflare-cdn-cache-control", "cdn-cache-control", "cache-control")
CONSUMED = frozenset({"cloudflare-cdn-cache-control", "cache-tag"})
HEURISTIC_SECONDS = {200: 7200, 203: 7200, 204: 7200, 300: 1200, 301: 1200, 404: 180, 405: 60, 410: 180, 414: 60, 501: 60}
MAX_TAGS, MAX_TAG_CHARACTERS, MAX_HEADER_BYTES = 1000, 1024, 16 * 1024
MAX_PURGED, BUCKET, REFILLED_A_MINUTE = 100, 25, 5
MINUTE_MS = 60_000


class Answered(Protocol):
    """What the Worker answers."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Iterable[tuple[str, str]]: ...
    @property
    def body(self) -> bytes | None: ...


@dataclass(frozen=True)
class Answer:
    """What the visitor gets; `cache` is the header Cf-Cache-Status."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cache: str


@dataclass(frozen=True)
class Kept:
    status: int
    headers: Mapping[str, str]
    body: bytes
    tags: frozenset[str]
    selected: Mapping[str, str | None]
    kept_ms: int
    ends_ms: float


@dataclass
class WorkersCache:
    """The cache in front of one entrypoint. `fault` makes purges fail."""

    worker: Callable[[str, dict[str, str], str], Awaitable[Answered]]
    clock: Clock
    fault: str | None = None
    purges: list[Sequence[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._kept: dict[str, list[Kept]] = {}
        self._tokens, self._filled_ms = float(BUCKET), self.clock()

    async def fetch(self, url: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> Answer:
        """Answer a request. Its key is path and query; neither the host nor any header is in there."""
        asked = {name.lower(): text for name, text in (headers or {}).items()}
        if method not in {"GET", "HEAD"} or "upgrade" in asked:
            return await self._passed(url, headers, method)
        for kept in self._kept.get(url, []):
            if kept.ends_ms > self.clock() and all(asked.get(name) == text for name, text in kept.selected.items()):
                return _hit(kept, asked, method, self.clock())
        answered = await self.worker(url, dict(headers or {}), "GET")
        given = _merged(answered.headers)
        seconds = _seconds(answered.status, given, asked)
        if seconds is not None:
            selected = {name: asked.get(name) for name in vary_names(given.get("vary"))}
            others = [kept for kept in self._kept.get(url, []) if kept.selected != selected]
            tags = frozenset(filter(_is_tag, given.get("cache-tag", "").lower().split(",")))
            ends_ms = self.clock() + seconds * 1000
            body = answered.body or b""
            kept = Kept(answered.status, given, body, tags, selected, self.clock(), ends_ms)
            self._kept[url] = [*others, kept]
        body = b"" if method == "HEAD" else answered.body or b""
        return Answer(answered.status, _sent(given), body, "BYPASS" if seconds is None else "MISS")

    async def purge(self, tags: Sequence[str]) -> None:
        """Purge by tag. In the runtime the result says so where this raises."""
        now_ms = self.clock()
        self._tokens = min(BUCKET, self._tokens + (now_ms - self._filled_ms) / MINUTE_MS * REFILLED_A_MINUTE)
        self._filled_ms = now_ms
        if self.fault is not None or len(tags) > MAX_PURGED or self._tokens < 1:
            raise RuntimeError(self.fault or ("too many tags" if len(tags) > MAX_PURGED else "rate limited"))
        self._tokens -= 1
        self.purges.append(tuple(tags))
        wanted = {tag.lower() for tag in tags}
        self._kept = {url: [kept for kept in every if not kept.tags & wanted] for url, every in self._kept.items()}

    @property
    def kept(self) -> set[str]:
        """The URLs that are kept."""
        return {url for url, every in self._kept.items() if any(kept.ends_ms > self.clock() for kept in every)}

    def tags_of(self, url: str) -> frozenset[str]:
        """Return the tags, in lower case, of what is kept at a URL."""
        return frozenset[str]().union(*(kept.tags for kept in self._kept.get(url, [])))

    async def _passed(self, url: str, headers: Mapping[str, str] | None, method: str) -> Answer:
        answered = await self.worker(url, dict(headers or {}), method)
        return Answer(answered.status, _sent(_merged(answered.headers)), answered.body or b"", "BYPASS")


def _seconds(status: int, given: Mapping[str, str], asked: Mapping[str, str]) -> float | None:
    """Return for how long an answer is kept, None if it is not (RFC 9111, 3 and 4.2; `Age` counts)."""
    vary, policy = vary_names(given.get("vary")), next((given[name] for name in POLICIES if name in given), None)
    allowed = directives(policy or "")
    if "set-cookie" in given or "*" in vary or "no-store" in allowed or "private" in allowed or status in {206, *range(520, 527)}:
        return None
    if "authorization" in asked and allowed.keys().isdisjoint({"public", "must-revalidate", "s-maxage"}):
        return None
    if policy is None and "expires" not in given:
        return HEURISTIC_SECONDS.get(status)
    text = allowed.get("s-maxage", allowed.get("max-age"))
    return None if text is None else int(text) - int(given.get("age", "0"))


def _hit(kept: Kept, asked: Mapping[str, str], method: str, now_ms: int) -> Answer:
    age = str((now_ms - kept.kept_ms) // 1000 + int(kept.headers.get("age", "0")))
    headers = {**_sent(kept.headers), "age": age}
    if kept.status == 200 and matches_etag(asked.get("if-none-match"), kept.headers.get("etag", "")):
        return Answer(304, headers, b"", "HIT")
    return Answer(kept.status, headers, b"" if method == "HEAD" else kept.body, "HIT")


def _is_tag(tag: str) -> bool:
    return 0 < len(tag) <= MAX_TAG_CHARACTERS and all("!" <= character <= "~" for character in tag)


def _merged(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    merged: dict[str, str] = {}
    for name, text in headers:
        merged[name.lower()] = f"{merged[name.lower()]}, {text}" if name.lower() in merged else text
    tags = merged.get("cache-tag", "")
    assert len(tags) <= MAX_HEADER_BYTES
    assert tags.count(",") < MAX_TAGS
    return merged


def _sent(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in headers.items() if name not in CONSUMED}
