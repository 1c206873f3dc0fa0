from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fakes.no_op import NoOpCacheHandler

from cache.entry import AppPageValue, CacheEntry
from cache.handler import SetContext
from cache.markers import Stamper
from cache.own_handler import get_cache_handler, set_cache_handler
from cache.tags import TagFilter
from core import errors
from core.errors import InvalidArgumentError
from core.log import SILENT_LOG

if TYPE_CHECKING:
    from cache.handler import CacheHandler


async def test_the_handler_of_a_site_is_the_one_it_set() -> None:
    assert get_cache_handler() is None
    handler: CacheHandler = NoOpCacheHandler()
    try:
        set_cache_handler(handler)
        assert get_cache_handler() is handler
        with pytest.raises(InvalidArgumentError, match="this one has no get, set, revalidate_tag"):
            set_cache_handler(object())  # type: ignore[arg-type]
        assert get_cache_handler() is handler
    finally:
        set_cache_handler(None)
    assert get_cache_handler() is None


async def test_the_handler_that_does_nothing_keeps_nothing() -> None:
    handler = NoOpCacheHandler()
    await handler.set("k", AppPageValue())
    await handler.revalidate_tag("t")
    await handler.revalidate_by_path_prefix("/")
    handler.reset_request_cache()
    assert await handler.get("k") is None
    assert not await handler.is_invalidated(["t"], 0)


def test_every_exception_has_the_one_base() -> None:
    found = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, Exception)]
    assert {error.__name__ for error in found} >= {"InvalidArgumentError", "CorruptValueError", "InvalidationError"}
    assert all(issubclass(error, errors.CacheError) or error is errors.CacheError.__base__ for error in found)


def test_a_long_value_is_cut_in_the_message() -> None:
    assert len(str(InvalidArgumentError("x", "y" * 1000, "z"))) < 200


def test_a_silent_log_takes_every_event() -> None:
    SILENT_LOG.event("error", "x", key="k")


@pytest.mark.parametrize(
    "entry",
    [
        CacheEntry.make(AppPageValue(), ("t",), 1_700_000_000_000, 60, 600, 30),
        CacheEntry.make(AppPageValue(), (), 1_700_000_000_000, None, None, None),
    ],
    ids=["every field", "no period"],
)
def test_the_context_of_an_entry_makes_this_very_entry(entry: CacheEntry) -> None:
    stamper = Stamper(lambda: 0, TagFilter(SILENT_LOG, None), lambda _: None)
    assert stamper.entry(entry.value, SetContext.of(entry)) == entry
