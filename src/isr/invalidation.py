"""Invalidating pages from Python: what Next.js calls `revalidateTag` and `revalidatePath`.

They act on the site whose request is being answered, so that a tenant reaches its own pages only.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Literal

from cache.errors import CacheError
from cache.tags import revalidate_path_tag

if TYPE_CHECKING:
    from isr.store import PageStore

_store: ContextVar[PageStore] = ContextVar("page store")


class NoSiteError(CacheError):
    """Called outside a request that the page cache answers, so there is no site to act on."""


def enter_site(store: PageStore) -> None:
    """Let the code that answers the current request act on a site's pages."""
    _store.set(store)


async def revalidate_tag(*tags: str) -> None:
    """Invalidate every page that carries one of the tags: the next request makes it anew.

    Raises InvalidationError with the tags that could not be written, InvalidArgumentError, NoSiteError.
    """
    await _active().revalidate_tags(tags)


async def revalidate_path(path: str, type: Literal["page", "layout"] | None = None) -> None:  # noqa: A002 - Next.js's name
    """Invalidate the page at a path; with `layout`, every page below it too, with `page`, all of one route.

    `revalidate_path("/", "layout")` reaches every page. Raises as `revalidate_tag`.
    """
    await _active().revalidate_tags((revalidate_path_tag(path, type),))


async def revalidate_path_prefix(prefix: str) -> None:
    """Invalidate `/docs` and what is below it, but not `/docs-old`. Raises as `revalidate_tag`."""
    await _active().revalidate_path_prefix(prefix)


def _active() -> PageStore:
    store = _store.get(None)
    if store is None:
        raise NoSiteError("no page cache answers this request; call it from a page handler, and check the Worker's settings")
    return store
