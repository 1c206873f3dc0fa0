"""Which variant of a page a request gets (`isr.variants`)."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from core.recent import Recent
from isr.admission import varies_by
from isr.lookup import Lookup
from isr.reasons import Unselected
from isr.variants import Places

if TYPE_CHECKING:
    from cache.keys import KeySchema
    from core.runtime import Clock
    from isr.store import CachedPage, PageStore
    from isr.variants import Selection, VariantRules
    from pages.request import PageRequest


class VariantPages:
    """The variants of the pages in a store."""

    def __init__(self, store: PageStore, rules: VariantRules, clock: Clock) -> None:
        self._store = store
        self._build = store.build
        self._rules = rules
        self._clock = clock

    @cached_property
    def _places(self) -> Places:
        return Places(self._rules.limit, self._clock)

    @cached_property
    def _names(self) -> Recent[str, tuple[str, ...]]:
        """The headers by which pages vary, to know them where a page has gone."""
        return Recent()

    async def find(self, request: PageRequest, lookup: Lookup, page: CachedPage) -> tuple[Lookup, CachedPage | None] | Unselected:
        """Return the lookup and the entry of the variant that a request selects; `page` is what was found for the lookup.

        The entry is None if it is not in the cache. Of a variant that is not kept, return why.
        """
        variant = self._selected(request, lookup, page)
        if variant is lookup:
            return lookup, page
        if not isinstance(variant, Lookup):
            return variant
        self._names[lookup.keys[0]] = _names(page, self._build.schema)
        if not self._places.take(lookup.keys[0], variant.variant):
            return Unselected.NO_PLACE
        found = await self._store.find(variant)
        return (variant, None) if found is None else await self.find(request, variant, found)

    def look(self, request: PageRequest, lookup: Lookup, page: CachedPage) -> Lookup | Unselected:
        """Return the lookup of the variant that `find` would read, the very lookup if the page itself is it, or why none is."""
        variant = self._selected(request, lookup, page)
        if variant is lookup or not isinstance(variant, Lookup):
            return variant
        return variant if self._places.has_room(lookup.keys[0], variant.variant) else Unselected.NO_PLACE

    def _selected(self, request: PageRequest, lookup: Lookup, page: CachedPage) -> Lookup | Unselected:
        names = _names(page, self._build.schema)
        if not names:
            return lookup
        selected = self._rules.selection(names, request.headers)
        if selected is not None and selected == _made_for(page, names):
            return lookup
        if lookup.selected:
            return Unselected.OTHER_SELECTION
        if selected is None:
            return Unselected.UNSELECTABLE
        return lookup.of_variant(selected, self._build) if self._rules.allow(names) else Unselected.NOT_KEPT

    def expected(self, request: PageRequest, lookup: Lookup) -> Lookup:
        """Return the lookup of a page that is not there with what the request selects, as far as that is known."""
        names = () if lookup.selected else self._names.get(lookup.keys[0], ())
        selected = self._rules.selection(names, request.headers)
        return replace(lookup, selected=selected) if selected else lookup


def _names(page: CachedPage, schema: KeySchema) -> tuple[str, ...]:
    """Return the headers by which an entry answers some requests and not others, sorted."""
    varying = varies_by(page.vary, schema)
    return tuple(sorted({*varying, *(name for name, _ in page.selected)})) if varying or page.selected else ()


def _made_for(page: CachedPage, names: tuple[str, ...]) -> Selection:
    known = dict(page.selected)
    return tuple((name, known.get(name, "")) for name in names)
