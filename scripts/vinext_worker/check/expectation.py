"""The expected answer to a request, and how an answer differs from it. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cache.entry import CacheEntry, Freshness
from core.http import REDIRECTS
from isr.answer import cached_cache_control
from seed.build import Artifact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seed.build import Build, RouteRecord

_COMPATIBILITY = "X-Vinext-RSC-Compatibility-Id"
_STATES = {"HIT": Freshness.FRESH, "STALE": Freshness.STALE}


@dataclass(frozen=True, slots=True)
class Request:
    """A request for one form of a page, with the build's record of the page."""

    url_path: str
    artifact: Artifact
    record: RouteRecord

    @property
    def headers(self) -> dict[str, str]:
        """The headers that request this form."""
        return {"RSC": "1", "Accept": "text/x-component"} if self.artifact is Artifact.RSC else {"Accept": "text/html,*/*;q=0.8"}

    @property
    def expected_status(self) -> int:
        """The recorded status, but 200 for a redirect's payload, which itself tells vinext's client where to go."""
        is_payload = self.artifact is Artifact.RSC and self.record.status in REDIRECTS
        return 200 if is_payload else self.record.status

    @property
    def target(self) -> str:
        """The path and query."""
        return f"{self.url_path}?_rsc" if self.artifact is Artifact.RSC else self.url_path


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """An answer; `faults` is empty if all is well. `status` and `first_byte_ms` are None if there was no answer."""

    request: Request
    status: int | None
    state: str
    cache_control: str
    first_byte_ms: float | None
    faults: tuple[str, ...]

    def to_document(self) -> dict[str, object]:
        return {
            "path": self.request.url_path,
            "form": self.request.artifact.value,
            "status": self.status,
            "cache": self.state or None,
            "cacheControl": self.cache_control or None,
            "firstByteMs": None if self.first_byte_ms is None else round(self.first_byte_ms, 1),
            "faults": list(self.faults),
        }


def faults(request: Request, build: Build, status: int, headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return how an answer differs from the expected one. `headers` looks names up regardless of case."""
    reasons: list[str] = []
    if status != request.expected_status:
        reasons.append(f"status {status}, expected {request.expected_status}")
    state = headers.get("X-Vinext-Cache") or ""
    if state not in _STATES:
        reasons.append(f"X-Vinext-Cache is {state or 'missing'}, expected HIT or STALE")
    else:
        entry = CacheEntry.make(None, (), 0, request.record.revalidate_seconds, request.record.expire_seconds)
        expected = cached_cache_control(entry, _STATES[state])
        given = headers.get("Cache-Control") or ""
        if given != expected:
            reasons.append(f"Cache-Control is {given!r}, expected {expected!r}")
    content_type = (headers.get("Content-Type") or "").lower()
    if request.artifact is Artifact.RSC:
        if not content_type.startswith("text/x-component"):
            reasons.append(f"Content-Type is {content_type or 'missing'}, expected text/x-component")
        wanted = build.rsc_headers.get(_COMPATIBILITY)
        if wanted is not None and headers.get(_COMPATIBILITY) != wanted:
            reasons.append(
                f"{_COMPATIBILITY} is {headers.get(_COMPATIBILITY)!r}, expected {wanted!r}: clients reload the whole page"
            )
    elif request.artifact is Artifact.HTML and not content_type.startswith("text/html"):
        reasons.append(f"Content-Type is {content_type or 'missing'}, expected text/html")
    return tuple(reasons)
