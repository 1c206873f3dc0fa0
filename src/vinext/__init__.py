"""The names that the Python code of a site imports.

The Worker's other packages (`cache`, `datacache`, `seed`, `isr`, `pages`, `edge`) are internal, and may change.
"""

from __future__ import annotations

import sys

from cache.entry import (
    AppPageValue,
    AppRouteValue,
    CacheEntry,
    CacheValue,
    FetchValue,
    Freshness,
    ImageValue,
    PagesValue,
    RedirectValue,
    freshness,
)
from cache.handler import CacheHandler, GetContext, SetContext
from cache.keys import KeySchema
from cache.kv import KVCacheHandler
from cache.kv_namespace import KVListedKey, KVListPage, KVNamespace, KVWhole
from cache.memory import MemoryCacheHandler
from cache.own_handler import HandlerContext, set_cache_handler
from cache.stored import entry_from_bytes, entry_to_bytes
from cache.tiered import TieredCacheHandler
from core.body import Body, BytesBody
from core.errors import (
    CacheError,
    CacheHandlerError,
    CorruptValueError,
    InvalidArgumentError,
    InvalidationError,
    ValueTooLargeError,
    VinextWorkerError,
)
from datacache.cached import cached
from datacache.context import revalidate_path, revalidate_path_prefix, revalidate_tag
from datacache.fetched import FetchedResponse, FetchError, cached_fetch
from datacache.life import CacheLife, cache_life
from pages.page import Page, revalidate
from pages.policy import no_store
from pages.selection import use_asgi, use_function, use_pages, use_worker, use_wsgi

if sys.platform == "emscripten":
    from edge.python.threads import switch_instead_of_blocking

    # Here, because a site's modules import these names before they make locks.
    switch_instead_of_blocking()

__all__ = [
    "AppPageValue",
    "AppRouteValue",
    "Body",
    "BytesBody",
    "CacheEntry",
    "CacheError",
    "CacheHandler",
    "CacheHandlerError",
    "CacheLife",
    "CacheValue",
    "CorruptValueError",
    "FetchError",
    "FetchValue",
    "FetchedResponse",
    "Freshness",
    "GetContext",
    "HandlerContext",
    "ImageValue",
    "InvalidArgumentError",
    "InvalidationError",
    "KVCacheHandler",
    "KVListPage",
    "KVListedKey",
    "KVNamespace",
    "KVWhole",
    "KeySchema",
    "MemoryCacheHandler",
    "Page",
    "PagesValue",
    "RedirectValue",
    "SetContext",
    "TieredCacheHandler",
    "ValueTooLargeError",
    "VinextWorkerError",
    "cache_life",
    "cached",
    "cached_fetch",
    "entry_from_bytes",
    "entry_to_bytes",
    "freshness",
    "no_store",
    "revalidate",
    "revalidate_path",
    "revalidate_path_prefix",
    "revalidate_tag",
    "set_cache_handler",
    "use_asgi",
    "use_function",
    "use_pages",
    "use_worker",
    "use_wsgi",
]
