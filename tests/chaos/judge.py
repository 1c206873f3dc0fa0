"""Tells right answers from wrong ones: the site's content is known for every moment."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from tests.chaos.runtime import now
from tests.chaos.site import EXPIRE_SECONDS, PERIOD_SECONDS, Content, PageKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.chaos.site import Invalidated, Page, Site
    from tests.chaos.world import Setup

LONGEST_ANSWER_SECONDS = 75
"""Where each read of KV and the page handler take as long as they may: twice for others' renders, and then for an own one."""
ASKED_EACH_SECONDS = 5
TAG_CACHE_SECONDS = 5
SPARE_SECONDS = 3
RETRY_SECONDS = 12
"""For how long after a failed render a page may still be missing: those who wait for it, and the time until it is tried again."""


@dataclass
class Seen:
    """A request and, in time, its answer."""

    tenant: str
    page: Page
    isolate: int
    sent_at: float
    may_vanish: bool
    is_rsc: bool = False
    has_body: bool = True
    is_last: bool = False
    visitor: str | None = None


@dataclass(frozen=True)
class Received:
    """What a visitor received. `is_broken`: the page handler's body breaks off, or never ends, on its way to the visitor."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None
    from_cache: bool
    is_broken: bool = False


@dataclass
class Judge:
    """Counts what was right, and describes what was wrong."""

    sites: Mapping[str, Site]
    setup: Setup
    counts: Counter[str] = field(default_factory=Counter)
    wrong: dict[str, list[str]] = field(default_factory=dict)
    _open: dict[int, Seen] = field(default_factory=dict)

    def begin(self, tenant: str, path: str, isolate: int, *, may_vanish: bool) -> Seen:
        self.counts["requests"] += 1
        seen = Seen(tenant, self.sites[tenant].pages[path], isolate, now(), may_vanish)
        self._open[id(seen)] = seen
        return seen

    def has_answer(self, seen: Seen) -> bool:
        return id(seen) not in self._open

    def raised(self, seen: Seen, error: Exception) -> None:
        self._open.pop(id(seen))
        self._complain("an exception", seen, repr(error))

    def answered(self, seen: Seen, answer: Received) -> None:
        self._open.pop(id(seen))
        took, status = now() - seen.sent_at, answer.status
        self.counts[answer.headers.get("x-vinext-cache", "no state")] += 1
        if took > LONGEST_ANSWER_SECONDS:
            self._complain("a hang", seen, f"answered after {took:.0f} s")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self.counts["500 of the page handler"] += 1
            if seen.page.failed_at < seen.sent_at - RETRY_SECONDS:
                self._complain("a 5xx of ours", seen, f"{status} {answer.headers}")
            return
        if answer.is_broken:
            self.counts["broken by the page handler"] += 1
            return
        if status == HTTPStatus.NOT_MODIFIED or not seen.has_body:
            return
        content = None if answer.body is None else Content.read(answer.body)
        if content is None:
            self._complain("a page that is not whole", seen, repr(answer.body)[:80])
            return
        expected = "route" if seen.page.kind is PageKind.ROUTE else "rsc" if seen.is_rsc else "html"
        if (content.tenant, content.path, content.artifact) != (seen.tenant, seen.page.path, expected):
            self._complain("another page", seen, repr(content))
        elif content.visitor not in {None, seen.visitor} or (answer.from_cache and content.visitor is not None):
            self._complain("another visitor's page", seen, repr(content))
        else:
            self._judge_age(seen, content, from_cache=answer.from_cache)

    def count_unanswered(self) -> None:
        """Count the requests that got no answer, unless their visitor had gone."""
        for seen in self._open.values():
            if not seen.may_vanish:
                self._complain("a hang", seen, "never answered")

    def _judge_age(self, seen: Seen, content: Content, *, from_cache: bool) -> None:
        page, skew = seen.page, self.setup.skew_ms / 1000
        due = max((each.version for each in page.invalidations if each.at + self._grace(seen, each) < seen.sent_at), default=0)
        if content.version < due:
            self._complain(
                "a page that was invalidated", seen, f"version {content.version}, not {due}, of {page.versions[due]:.1f}"
            )
        age = now() - content.rendered_at
        if page.expires and from_cache and age > EXPIRE_SECONDS + 2 * skew + SPARE_SECONDS:
            self._complain("an expired page", seen, f"{age:.0f} s old")
        if not seen.is_last:
            return
        if content.version < page.version:
            self._complain("a lost invalidation", seen, f"version {content.version}, not {page.version}")
        elif page.kind is not PageKind.FOREVER and age > self._oldest_seconds:
            self._complain("a lost regeneration", seen, f"{age:.0f} s old")

    @property
    def _oldest_seconds(self) -> float:
        """How old a page may be that is asked for all the time and renders well."""
        return PERIOD_SECONDS + self.setup.lag_seconds + SPARE_SECONDS + ASKED_EACH_SECONDS

    def _grace(self, seen: Seen, invalidated: Invalidated) -> float:
        """How long an isolate may not know of an invalidation: not at all if it is its own."""
        if invalidated.isolate == seen.isolate:
            return 0
        # An isolate asks the object again where that did not answer.
        lag = SPARE_SECONDS if invalidated.is_noted else self.setup.lag_seconds
        return lag + TAG_CACHE_SECONDS + self.setup.skew_ms / 1000 + SPARE_SECONDS

    def _complain(self, what: str, seen: Seen, detail: str) -> None:
        self.counts[f"WRONG: {what}"] += 1
        place = f"{seen.tenant}{seen.page.path}{'.rsc' if seen.is_rsc else ''} in isolate {seen.isolate} at {seen.sent_at:.1f}"
        self.wrong.setdefault(what, []).append(f"{place}: {detail}")
