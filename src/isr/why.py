"""Why a request is a HIT or not: what the page cache (`isr.page_cache`) would do with it now, for a person.

Each step asks the very functions that the page cache asks, in the same order. Nothing changes: no entry is used, claimed,
written or removed, no page is rendered, and the app is not asked.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cache.entry import Freshness
from cache.look import Unserved
from isr.answer import served_reason
from isr.lookup import CachedOnly, Hidden, Lookup, PassBy, Ruled, at_canonical_url, classify, unkept_reason
from isr.reasons import Bypass, Served, Unlikely, Unselected, Unservable
from isr.store import CachedPage
from isr.story import Outcome, Step, Story, due_facts, due_text, entry_facts, entry_text, mark_facts, mark_text, time_text
from seed.look import Unseedable, Unseeded
from seed.rules import touching_rule

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import StrEnum

    from cache.look import Look
    from core.runtime import Clock
    from isr.misses import Misses
    from isr.reasons import Unkept
    from isr.revalidator import Revalidator
    from isr.store import Found, PageStore
    from isr.variant_pages import VariantPages
    from pages.request import PageRequest


@dataclass
class _Notes:
    """What was seen on the way: the steps, the time of each phase, and why there is no page."""

    timer: Callable[[], float]
    steps: list[Step] = field(default_factory=list)
    took_ms: dict[str, float] = field(default_factory=dict)
    absence: tuple[StrEnum, str] = (Unserved.ABSENT, "")

    def add(self, name: str, says: str, reason: StrEnum | None = None, **facts: object) -> None:
        self.steps.append(Step(name, says, reason, facts))

    def story(self, outcome: Outcome, reason: StrEnum, detail: str = "") -> Story:
        return Story(outcome, reason, detail, tuple(self.steps), self.took_ms)


class Why:
    """Tells the story of a request to a site. `has_stages`: the app answers in stages, with the cache between them."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a site
        self,
        store: PageStore,
        misses: Misses,
        revalidator: Revalidator,
        variants: VariantPages | None,
        has_stages: bool,  # noqa: FBT001 - named at its call
        clock: Clock,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._build = store.build
        self._store = store
        self._misses = misses
        self._revalidator = revalidator
        self._variants = variants
        self._has_stages = has_stages
        self._clock = clock
        self._timer = timer

    async def explain(self, request: PageRequest) -> Story:
        """Return the story of a request that comes now."""
        notes = _Notes(self._timer)
        started = self._timer()
        verdict = classify(request, self._build)
        notes.took_ms["route"] = (self._timer() - started) * 1000
        if request.method in {"GET", "HEAD"} and not isinstance(verdict, Hidden) and self._build.is_file(request.path):
            notes.add("file", Bypass.STATIC_FILE.value, Bypass.STATIC_FILE)
            return notes.story(Outcome.FILE, Bypass.STATIC_FILE)
        match verdict:
            case Hidden():
                notes.add("lookup", Bypass.PRIVATE_FOLDER.value, Bypass.PRIVATE_FOLDER)
                return notes.story(Outcome.NOT_FOUND, Bypass.PRIVATE_FOLDER)
            case PassBy(reason, detail):
                says = f"{reason.value}: {detail}" if detail else reason.value
                notes.add("rule" if reason is Bypass.RULE else "lookup", f"passed by: {says}", reason)
                return notes.story(Outcome.PASSED_ON, reason, says)
            case Ruled(lookup):
                return await self._ruled(request, lookup, notes)
            case CachedOnly():
                return await self._if_cached(request, verdict, notes)
            case Lookup():
                return await self._page(request, verdict, notes)

    def answered(self, request: PageRequest, story: Story, since_ms: int, *, is_kept: bool) -> Story:
        """Return the story of a request that has been answered since: its own answer may have been refused.

        `is_kept`: the answer says that it is in the cache now.
        """
        lookup = classify(request, self._build)
        if story.outcome is not Outcome.MISS or not isinstance(lookup, Lookup):
            return story
        last = self._revalidator.last_refusal(request.origin, lookup)
        if last is None or (last.at_ms < since_ms and is_kept):
            return story
        says = f"this answer is not kept: {last.refusal}" if last.at_ms >= since_ms else story.detail
        return replace(story, outcome=Outcome.PASSED_ON, reason=last.refusal.reason, detail=says)

    async def _ruled(self, request: PageRequest, lookup: Lookup | None, notes: _Notes) -> Story:
        rule = None if lookup is None else touching_rule(self._build.rules, lookup.path)
        if rule is None:
            says = "the app's request stage is asked which variant of the payload this is, and what follows is not known here"
        else:
            says = f"{rule.name} may touch the path: the app is asked first. What follows holds if it then asks for this page"
        notes.add("rule", says, Bypass.RULE)
        if lookup is None:
            return notes.story(Outcome.RULED, Bypass.RSC_VARIANT)
        self._note_lookup(lookup, notes)
        self._note_unlikely(request, lookup, notes)
        page = None if self._misses.is_unlikely(request.origin, lookup) else await self._find(lookup, notes)
        if page is not None:
            return await self._served(lookup, page, notes, ruled=True)
        return self._missing(request, lookup, notes, Outcome.RULED)

    async def _if_cached(self, request: PageRequest, found: CachedOnly, notes: _Notes) -> Story:
        lookup = found.lookup
        notes.add("lookup", f"{found.reason.value}: answered from the cache if the page is there, never kept", found.reason)
        self._note_lookup(lookup, notes)
        self._note_unlikely(request, lookup, notes)
        page = None if self._misses.is_unlikely(request.origin, lookup) else await self._find(lookup, notes)
        if page is None:
            return notes.story(Outcome.PASSED_ON, found.reason)
        if found.may_upgrade:
            notes.add("handler", "the page handler is asked first whether it takes a WebSocket here")
        if found.is_ruled:
            notes.add("rule", "a rule of the app may touch the path: the app is asked first", Bypass.RULE)
            return await self._served(lookup, page, notes, ruled=True)
        if page.vary is None or self._variants is None:
            return await self._served(lookup, page, notes)
        return await self._variant(request, lookup, page, notes, is_kept=False)

    async def _page(self, request: PageRequest, lookup: Lookup, notes: _Notes) -> Story:
        self._note_lookup(lookup, notes)
        self._note_unlikely(request, lookup, notes)
        unlikely = self._misses.unlikely(request.origin, lookup)
        if unlikely is Unlikely.DYNAMIC:
            return self._refused(request, lookup, notes, Outcome.PASSED_ON, unlikely)
        page = None if unlikely is not None else await self._find(lookup, notes)
        if page is not None:
            if page.vary is None or self._variants is None:
                return await self._served(lookup, page, notes)
            return await self._variant(request, lookup, page, notes, is_kept=True)
        if unlikely is not None:
            notes.absence = unlikely, ""
        unkept = unkept_reason(request, lookup)
        if self._has_stages and at_canonical_url(request, lookup) is not None:
            notes.add("handler", "the app is asked, and says whether its answer is for everybody")
            return self._missing(request, lookup, notes, Outcome.MISS)
        return self._missing(request, lookup, notes, Outcome.MISS if unkept is None else Outcome.PASSED_ON, unkept)

    async def _variant(self, request: PageRequest, lookup: Lookup, page: CachedPage, notes: _Notes, *, is_kept: bool) -> Story:
        """Go on with a page that varies by headers of the request."""
        if self._variants is None:
            return await self._served(lookup, page, notes)
        wanted = self._variants.look(request, lookup, page)
        if wanted is lookup:
            return await self._served(lookup, page, notes)
        if not isinstance(wanted, Lookup):
            notes.add("variant", f"the page varies by {page.vary}: {wanted.value}", wanted)
            return notes.story(Outcome.PASSED_ON, wanted)
        notes.add("variant", f"the page varies by {page.vary}: this request wants {dict(wanted.selected)}", key=wanted.keys[0])
        found = await self._find(wanted, notes)
        if found is not None:
            return await self._variant(request, wanted, found, notes, is_kept=is_kept)
        notes.absence = Unselected.ABSENT, ""
        unkept = unkept_reason(request, wanted)
        is_miss = is_kept and unkept is None
        return self._missing(request, wanted, notes, Outcome.MISS if is_miss else Outcome.PASSED_ON, unkept)

    def _note_lookup(self, lookup: Lookup, notes: _Notes) -> None:
        kinds = " or ".join(artifact.value for artifact in lookup.artifacts)
        facts = {"path": lookup.path, "artifacts": [artifact.value for artifact in lookup.artifacts], "keys": list(lookup.keys)}
        notes.add("lookup", f"the page {lookup.path} as {kinds}: {', '.join(lookup.keys)}", None, **facts)

    def _note_unlikely(self, request: PageRequest, lookup: Lookup, notes: _Notes) -> None:
        unlikely = self._misses.unlikely(request.origin, lookup)
        if unlikely is None:
            return
        refused = self._revalidator.refused(request.origin, lookup)
        if refused is None:
            notes.add("dynamic", f"not looked for: {unlikely.value}", unlikely)
            return
        until = time_text(refused.until_ms)
        notes.add("dynamic", f"not looked for until {until}: {unlikely.value}", unlikely, until=until)

    async def _find(self, lookup: Lookup, notes: _Notes) -> CachedPage | None:
        """Return the page that the store has, and note where it was looked for."""
        all_found = await self._store.look(lookup)
        absences: list[tuple[StrEnum, str]] = []
        for found in all_found:
            for phase, took_ms in found.took_ms.items():
                notes.took_ms[phase] = notes.took_ms.get(phase, 0) + took_ms
            for look in found.looks:
                absences += self._note_look(found, look, notes)
            if found.seed is not None:
                absences += self._note_seed(found, notes)
            if isinstance(found.page, Unservable):
                notes.add("entry", f"not served: {found.page.value}", found.page, key=found.key)
                absences.append((found.page, ""))
        gone = next((found.marks for found in all_found if found.marks), ())
        if gone and all(_weight(*absence) < _OF_AN_ENTRY for absence in absences):
            says = "nothing is left of the page, perhaps because of this: " + "; ".join(map(mark_text, gone))
            notes.add("invalidated", says, None, **mark_facts(gone))
            absences.append((Unserved.ABSENT, mark_text(gone[0])))
        page = all_found[-1].page
        if isinstance(page, CachedPage):
            return page
        # What was there and is not served says more than that something is not there.
        notes.absence = max(absences, key=lambda absence: _weight(*absence), default=notes.absence)
        return None

    def _note_look(self, found: Found, look: Look, notes: _Notes) -> list[tuple[StrEnum, str]]:
        now_ms, entry = self._clock(), look.entry or look.kept
        facts: dict[str, object] = {"artifact": found.artifact.value, "key": look.name or found.key, **mark_facts(look.marks)}
        if look.form:
            facts["layout"] = look.form
        if entry is not None:
            facts.update(entry_facts(entry, now_ms))
        if look.reason is None and entry is not None:
            notes.add(look.layer, entry_text(entry, now_ms), None, **facts)
            return []
        reason = look.reason or Unserved.ABSENT
        more = look.error or _reaching(look, reason)
        says = f"{reason.value}: {more}" if more else reason.value
        notes.add(look.layer, says if entry is None else f"{says} ({entry_text(entry, now_ms)})", reason, **facts)
        return [] if look is not found.looks[-1] else [(reason, says if more else "")]

    def _note_seed(self, found: Found, notes: _Notes) -> list[tuple[StrEnum, str]]:
        seed = found.seed
        if not isinstance(seed, Unseedable):
            if seed is not None:
                facts = {"artifact": found.artifact.value, **entry_facts(seed.served, self._clock())}
                notes.add("seed", f"the build's page: {entry_text(seed.served, self._clock())}", None, **facts)
            return []
        more = seed.error or ("; ".join(map(mark_text, found.marks)) if seed.reason is Unseeded.INVALIDATED else "")
        says = f"{seed.reason.value}: {more}" if more else seed.reason.value
        facts = {"artifact": found.artifact.value, **mark_facts(found.marks if seed.tags else ())}
        if seed.until_ms is not None:
            facts["until"] = time_text(seed.until_ms)
        notes.add("seed", f"{says}; it is not asked again" if seed.is_lasting else says, seed.reason, **facts)
        return [(seed.reason, says)]

    async def _served(self, lookup: Lookup, page: CachedPage, notes: _Notes, *, ruled: bool = False) -> Story:
        entry = page.entry
        if page.state is Freshness.FRESH:
            notes.add("answer", f"from the cache: {Served.FRESH.value}", Served.FRESH)
            return notes.story(Outcome.RULED if ruled else Outcome.HIT, Served.FRESH)
        reason = served_reason(entry, page.state)
        since = "" if entry.revalidate_at_ms is None else f" since {time_text(entry.revalidate_at_ms)}"
        notes.add("answer", f"from the cache, and it is regenerated after the answer: {reason.value}{since}", reason)
        await self._note_regeneration(lookup, page, notes)
        return notes.story(Outcome.RULED if ruled else Outcome.STALE, reason)

    async def _note_regeneration(self, lookup: Lookup, page: CachedPage, notes: _Notes) -> None:
        if self._revalidator.is_making(lookup):
            notes.add("claim", "this isolate is regenerating the page just now")
        try:
            if await self._revalidator.is_leased(replace(lookup, selected=page.selected), page):
                notes.add("lease", "another isolate has the lease on the page: it is regenerating it, or has just failed to")
            for unfinished in await self._revalidator.unfinished(replace(lookup, selected=page.selected), page):
                if unfinished.tries:
                    notes.add("retry", due_text(unfinished), None, **due_facts(unfinished))
        except Exception as error:  # noqa: BLE001 - the store of leases may fail, and the answer does not depend on it
            notes.add("lease", f"the lease cannot be read: {error}")

    def _missing(
        self, request: PageRequest, lookup: Lookup, notes: _Notes, outcome: Outcome, unkept: Unkept | None = None
    ) -> Story:
        """Go on with a page that is not there: the page handler renders it."""
        if unkept is not None:
            notes.add("admission", f"the answer is not kept: {unkept.value}", unkept)
            if outcome is Outcome.PASSED_ON and notes.absence[0] is Unserved.ABSENT:
                return self._refused(request, lookup, notes, outcome, unkept)
        if outcome is Outcome.MISS and self._misses.is_failing(request, lookup):
            return self._refused(request, lookup, notes, Outcome.FAILED, Unlikely.FAILED)
        if self._misses.is_claimed(lookup):
            notes.add("claim", "another request is rendering the page just now; this one would wait for it")
        return self._refused(request, lookup, notes, outcome, *notes.absence)

    def _refused(  # noqa: PLR0913, PLR0917 - an end of the story
        self, request: PageRequest, lookup: Lookup, notes: _Notes, outcome: Outcome, reason: StrEnum, detail: str = ""
    ) -> Story:
        """End a story without a page: by the reason why the last answer was not kept, if that is known."""
        last = self._revalidator.last_refusal(request.origin, lookup)
        if last is None:
            return notes.story(outcome, reason, detail)
        by = "a render for everybody" if last.is_for_everybody else "a visitor's answer"
        at = time_text(last.at_ms)
        says = f"the last answer was not kept: {last.refusal}"
        notes.add("admission", f"{says} ({by}, at {at})", last.refusal.reason, at=at, forEverybody=last.is_for_everybody)
        is_why = reason in _BECAUSE_OF_THE_LAST and outcome in {Outcome.MISS, Outcome.PASSED_ON, Outcome.RULED}
        return notes.story(outcome, last.refusal.reason, says) if is_why else notes.story(outcome, reason, detail)


# The page is not there, or not looked for, because the last answer was not kept.
_BECAUSE_OF_THE_LAST = frozenset(
    {
        Unserved.ABSENT,
        Unseeded.NO_BUILD,
        Unseeded.NOT_IN_BUILD,
        Unseeded.NO_ARTIFACT,
        Unservable.TOMBSTONE,
        Unselected.ABSENT,
        Unlikely.VISITORS_ANSWER,
        Unlikely.DYNAMIC,
        Unlikely.DYNAMIC_IN_BUILD,
    }
)


_OF_AN_ENTRY = 4


def _weight(reason: StrEnum, detail: str) -> int:
    """Return how much a reason says: an entry that was there, then a build that had the page, then nothing at all."""
    if reason in {Unseeded.NO_BUILD, Unseeded.NOT_IN_BUILD}:
        return 0
    if reason is Unserved.ABSENT:
        return 3 if detail else 1
    return 2 if reason is Unseeded.NO_ARTIFACT else _OF_AN_ENTRY


def _reaching(look: Look, reason: Unserved) -> str:
    """Return the invalidations that are the reason."""
    if reason not in {Unserved.INVALIDATED, Unserved.COPY_INVALIDATED} or look.kept is None:
        return ""
    made_ms = look.kept.last_modified_ms
    reaching = [mark for mark in look.marks if mark.at_ms >= made_ms] or list(look.marks)
    return "; ".join(map(mark_text, reaching))
