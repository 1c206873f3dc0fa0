"""The expected answer to a request, and how an answer differs from it. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote

from cache.entry import CacheEntry, Freshness
from cache.look import Unserved
from core.http import REDIRECTS, STALE_TIME_HEADER
from core.paths import PRERENDER_FOLDER
from isr.answer import cached_cache_control
from isr.edge_policy import BROWSER_POLICY
from isr.page_headers import NOT_STORED
from isr.stopwatch import REASON_HEADER
from isr.story import code_of
from seed.build import BUILD_FILE, Artifact
from seed.look import Unseeded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seed.build import Build, RouteRecord

_COMPATIBILITY = "X-Vinext-RSC-Compatibility-Id"
_CONTENT_TYPES = {
    Artifact.HTML: "text/html",
    Artifact.RSC: "text/x-component",
    Artifact.PAGES: "text/html",
    Artifact.DATA: "application/json",
}
_STATES = {"HIT": Freshness.FRESH, "STALE": Freshness.STALE}

RULE = "rule"
_GONE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})

PRIVATE_PATH = f"/{PRERENDER_FOLDER}/{BUILD_FILE}"
"""The Worker answers here itself, before any rule of the app."""

_INVALIDATED = frozenset(map(code_of, (Unserved.INVALIDATED, Unseeded.INVALIDATED)))

# The content type has a rule of its own, and a preload may name another file in each render.
_MAY_DIFFER = frozenset({"content-type", "link"})
_NOT_EXPECTED = NOT_STORED | {"content-type"}


@dataclass(frozen=True, slots=True)
class Request:
    """A request for one form of a page, with the build's record of the page.

    `is_ruled`: a rule of the app may touch the page, and its request stage applies the rule before the cache.
    """

    url_path: str
    artifact: Artifact
    record: RouteRecord
    is_ruled: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """The headers that request this form."""
        return {"RSC": "1", "Accept": "text/x-component"} if self.artifact is Artifact.RSC else {"Accept": "text/html,*/*;q=0.8"}

    @property
    def expected_status(self) -> int:
        """The recorded status, but 200 for a redirect's payload, which itself tells vinext's client where to go."""
        is_payload = self.artifact in {Artifact.RSC, Artifact.DATA} and self.record.status in REDIRECTS
        return 200 if is_payload else self.record.status

    @property
    def target(self) -> str:
        """The path and query."""
        return f"{self.url_path}?_rsc" if self.artifact is Artifact.RSC else self.url_path

    def expected_cache_control(self, state: Freshness) -> str:
        """Return the page's own Cache-Control, or else that of its period."""
        own = {} if self.artifact in {Artifact.PAGES, Artifact.DATA} else self._own_headers
        entry = CacheEntry.make(None, (), 0, self.record.revalidate_seconds, self.record.expire_seconds)
        given = next((value for name, value in own.items() if name.lower() == "cache-control"), None)
        return cached_cache_control(entry, state) if given is None else given

    @property
    def _own_headers(self) -> Mapping[str, str]:
        return self.record.rsc_headers if self.artifact is Artifact.RSC else self.record.headers

    def expected_headers(self, build: Build) -> dict[str, str]:
        """Return the headers that next.config and the page itself set, with names in lower case."""
        number = self.record.header_set
        added = build.header_sets[number] if number is not None and number < len(build.header_sets) else {}
        given = {name.lower(): value for name, value in {**added, **self._own_headers}.items()}
        if self.record.stale_seconds is not None and self.artifact is not Artifact.ROUTE:
            given.setdefault(STALE_TIME_HEADER, str(int(self.record.stale_seconds)))
        return {name: value for name, value in given.items() if name not in _NOT_EXPECTED}


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """An answer for a form of a page, or for a file that pages need.

    `faults` is empty if all is well; `notes` are what is worth a look, and no fault. `status` and `first_byte_ms` are None if
    there was no answer. `state` is that of the cache, or RULE if a rule of the app has answered in place of the page.
    """

    path: str
    form: str
    status: int | None
    state: str
    cache_control: str
    first_byte_ms: float | None
    faults: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def to_document(self) -> dict[str, object]:
        return {
            "path": self.path,
            "form": self.form,
            "status": self.status,
            "cache": self.state or None,
            "cacheControl": self.cache_control or None,
            "firstByteMs": None if self.first_byte_ms is None else round(self.first_byte_ms, 1),
            "faults": list(self.faults),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class CheckResult:
    """The answers for pages, in order, and those for the files that the pages need.

    `fault` is what is wrong with the answers as a whole, "" if nothing is.
    """

    answers: tuple[CheckedAnswer, ...]
    files: tuple[CheckedAnswer, ...] = field(default=())
    fault: str = ""

    @property
    def is_right(self) -> bool:
        """Whether all is as expected."""
        return not self.wrong and not self.fault

    @property
    def ruled(self) -> int:
        """How many answers are of a rule of the app."""
        return sum(answer.state == RULE for answer in self.answers)

    @property
    def noted(self) -> int:
        """How many answers are as expected but for a note."""
        return sum(bool(answer.notes and not answer.faults) for answer in (*self.answers, *self.files))

    @property
    def wrong(self) -> int:
        """How many answers are not as expected."""
        return sum(bool(answer.faults) for answer in (*self.answers, *self.files))


def invalidation_of(headers: Mapping[str, str]) -> str | None:
    """Return what invalidated a page that was not in the cache, as the Worker says it to whoever has its token; else None."""
    told = headers.get(REASON_HEADER) or ""
    _, _, reason = told.partition(": ")
    code, _, says = reason.partition(" ")
    return unquote(says).removeprefix("(").removesuffix(")") if code in _INVALIDATED else None


def is_of_a_rule(request: Request, status: int, headers: Mapping[str, str]) -> bool:
    """Return whether a rule of the app has answered in place of the page: a redirect, a 401.

    That there is no such page is no such answer, whoever says so: the build has it.
    """
    is_page = "X-Vinext-Cache" in headers or status == request.expected_status
    return request.is_ruled and not is_page and status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _GONE


def is_of_the_worker(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """Return whether an answer for PRIVATE_PATH is the Worker's own (`isr.answer.NOT_FOUND`)."""
    is_text = (headers.get("Content-Type") or "").startswith("text/plain")
    return status == HTTPStatus.NOT_FOUND and is_text and not body


def faults(
    request: Request, build: Build, status: int, headers: Mapping[str, str], *, was_invalidated: bool = False
) -> tuple[str, ...]:
    """Return how an answer differs from the expected one. `headers` looks names up regardless of case.

    `was_invalidated`: the page need not have been in the cache.
    """
    if is_of_a_rule(request, status, headers):
        return ()
    reasons: list[str] = []
    if status != request.expected_status:
        reasons.append(f"status {status}, expected {request.expected_status}")
    state = headers.get("X-Vinext-Cache") or ""
    if state == "MISS" and was_invalidated:
        pass
    elif state not in _STATES:
        reasons.append(f"X-Vinext-Cache is {state or 'missing'}, expected HIT or STALE")
    elif not request.is_ruled and not request.record.is_unsure:
        # A rule may set one, and one that sets a cookie has it made private.
        expected = request.expected_cache_control(_STATES[state])
        given = headers.get("Cache-Control") or ""
        # The second one is that of a page which Workers Cache may keep (docs/workers-cache.md).
        if given not in {expected, BROWSER_POLICY}:
            reasons.append(f"Cache-Control is {given!r}, expected {expected!r}")
    reasons += _type_faults(request, status, (headers.get("Content-Type") or "").lower())
    if request.artifact is Artifact.RSC:
        wanted = build.rsc_headers.get(_COMPATIBILITY)
        if wanted is not None and headers.get(_COMPATIBILITY) != wanted:
            reasons.append(
                f"{_COMPATIBILITY} is {headers.get(_COMPATIBILITY)!r}, expected {wanted!r}: clients reload the whole page"
            )
    reasons += _header_faults(request.expected_headers(build), headers)
    return tuple(reasons)


def _type_faults(request: Request, status: int, content_type: str) -> list[str]:
    expected = _CONTENT_TYPES.get(request.artifact)
    if expected is None or content_type.startswith(expected) or (request.artifact is Artifact.PAGES and status in REDIRECTS):
        return []
    return [f"Content-Type is {content_type or 'missing'}, expected {expected}"]


def _header_faults(expected: Mapping[str, str], headers: Mapping[str, str]) -> list[str]:
    given = {name: headers.get(name) for name in expected}
    return [
        f"{name} is {'missing' if given[name] is None else repr(given[name])}, expected {value!r}"
        for name, value in expected.items()
        if given[name] is None or (given[name] != value and name not in _MAY_DIFFER)
    ]


def is_made_again(state: str, age_seconds: int | None, since_seconds: float) -> bool:
    """Return whether a page that was STALE `since_seconds` ago has been rendered since, by a later answer."""
    return state == "HIT" or (age_seconds is not None and age_seconds <= since_seconds)


def repeated_fault(request: Request, state: str, times: int) -> str:
    """Return what is wrong with a page that was asked for several times and is still not in the cache."""
    period = request.record.revalidate_seconds
    build = "the build pre-rendered it" if period is None else f"the build gives it a period of {period:g} s"
    shown = "has no X-Vinext-Cache" if not state else f"is a {state}"
    return f"it is made for each request, although {build}: the answer {shown} after {times} requests"
