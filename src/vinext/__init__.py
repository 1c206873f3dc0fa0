"""The names that the Python code of a site imports.

The Worker's other packages (`cache`, `datacache`, `seed`, `isr`, `pages`, `edge`) are internal, and may change.
"""

from __future__ import annotations

from datacache.cached import cached
from datacache.context import revalidate_path, revalidate_path_prefix, revalidate_tag
from datacache.fetched import FetchedResponse, FetchError, cached_fetch
from datacache.life import CacheLife, cache_life
from pages.page import Page, revalidate
from pages.policy import no_store
from pages.selection import use_asgi, use_function, use_pages, use_worker, use_wsgi

__all__ = [
    "CacheLife",
    "FetchError",
    "FetchedResponse",
    "Page",
    "cache_life",
    "cached",
    "cached_fetch",
    "no_store",
    "revalidate",
    "revalidate_path",
    "revalidate_path_prefix",
    "revalidate_tag",
    "use_asgi",
    "use_function",
    "use_pages",
    "use_worker",
    "use_wsgi",
]
