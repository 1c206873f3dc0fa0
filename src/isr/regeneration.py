"""Regenerating a page at once, for a person who waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isr.lookup import Lookup, PassBy, Ruled, classify
from pages.handler import PageError

if TYPE_CHECKING:
    from isr.revalidator import Revalidator
    from isr.staged_cache import StagedCache
    from isr.store import PageStore
    from isr.variants import Selection
    from pages.request import PageRequest


class Regeneration:
    """Renders pages of a site for everybody and stores them. `staged` None: the app does not answer in stages."""

    def __init__(self, store: PageStore, revalidator: Revalidator, staged: StagedCache | None) -> None:
        self._store = store
        self._revalidator = revalidator
        self._staged = staged

    async def regenerate(self, request: PageRequest, key: str, selected: Selection) -> str | None:
        """Render the page that a request is for, and store it. Return why it is not stored, None if it is.

        `key` is that of its entry, and `selected` is what the entry was made for. As after any regeneration, an entry that may no
        longer be kept is removed, and one whose render failed stays.
        """
        verdict = classify(request, self._store.build)
        lookup = verdict.lookup if isinstance(verdict, Ruled) else verdict
        if isinstance(lookup, PassBy):
            return f"its URL passes by the cache: {lookup.reason.value}{f', {lookup.detail}' if lookup.detail else ''}"
        if isinstance(lookup, Lookup) and selected:
            lookup = lookup.of_variant(selected, self._store.build)
        if not isinstance(lookup, Lookup) or key not in lookup.keys:
            return "the key does not tell by which request it is rendered"
        stale = await self._store.find(lookup)
        try:
            if isinstance(verdict, Ruled) and self._staged is not None:
                refusal = await self._staged.regenerate(request, lookup, stale)
            else:
                refusal = await self._revalidator.regenerate(request.origin, lookup, stale, None)
        except PageError as error:
            return str(error)
        await self._store.replaced(lookup.tag_path)
        return None if refusal is None else str(refusal)
