"""The entry module of a Worker, as `init` writes it: the cache, and behind it what renders the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

FRONT = '''\
"""The Worker's entry: the cache, in front of the app's own Worker (the service PAGES in wrangler.toml)."""

from vinext.worker import Default, VinextTags

__all__ = ["Default", "VinextTags"]
'''

_PAGES = """
# Pages that are the same for everybody: rendered when you build, and regenerated once an hour. A page that is not listed is
# cached if it says so itself, for example by `@revalidate(60)`.
PAGES = [{pages}]
"""

_ASGI = '''\
"""The Worker's entry: the cache, with the app behind it."""

from {module} import {name}

from vinext import cache_life, use_asgi
from vinext.worker import Default

__all__ = ["Default"]
{pages}

async def site(scope, receive, send):
    if scope["type"] == "http" and scope["path"] in PAGES:
        cache_life("hours")
    await {name}(scope, receive, send)


use_asgi(site, static_paths=lambda: PAGES)
'''

_OWN_ASGI = '''\
"""The Worker's entry: the cache, with the app behind it."""

from {module} import {name}{paths}

from vinext import use_asgi
from vinext.worker import Default

__all__ = ["Default"]

use_asgi({name}{argument})
'''

_WSGI = '''\
"""The Worker's entry: the cache, with the app behind it."""

from {module} import {name}

from vinext import cache_life, use_wsgi
from vinext.worker import Default

__all__ = ["Default"]
{pages}

def site(environ, start_response):
    if environ["PATH_INFO"] in PAGES:
        cache_life("hours")
    return {name}(environ, start_response)


use_wsgi(site, static_paths=lambda: PAGES)
'''

_WORKER = '''\
"""The Worker's entry: the cache, with the Worker of {module}.py behind it."""

from urllib.parse import urlsplit

from {module} import {names}

from vinext import cache_life, use_worker
from vinext.worker import Default{as_cached}

__all__ = [{exports}]
{pages}

class Site(Worker):
    def fetch(self, request):
        if urlsplit(request.url).path in PAGES:
            cache_life("hours")
        return super().fetch(request)


use_worker(Site, static_paths=lambda: PAGES)
'''

_WITH_HANDLERS = '''

class Default(Cached, Worker):
    """`fetch` is the cache's, and {handlers} the Worker's own."""
'''


def asgi_entry(module: str, name: str, pages: Sequence[str]) -> str:
    """Return the entry for an ASGI app."""
    return _ASGI.format(module=module, name=name, pages=_pages(pages))


def own_asgi_entry(module: str, name: str, *, has_static_paths: bool) -> str:
    """Return the entry for an ASGI app that says itself which pages are cached."""
    paths, argument = (", static_paths", ", static_paths=static_paths") if has_static_paths else ("", "")
    return _OWN_ASGI.format(module=module, name=name, paths=paths, argument=argument)


def wsgi_entry(module: str, name: str, pages: Sequence[str]) -> str:
    """Return the entry for a WSGI app."""
    return _WSGI.format(module=module, name=name, pages=_pages(pages))


def worker_entry(module: str, exports: Collection[str], handlers: Sequence[str], pages: Sequence[str]) -> str:
    """Return the entry for a Python Worker: `exports` are its other classes, `handlers` the methods besides `fetch`."""
    text = _WORKER.format(
        module=module,
        names=", ".join([*sorted(exports), "Default as Worker"]),
        as_cached=" as Cached" if handlers else "",
        exports=", ".join(f'"{name}"' for name in sorted([*exports, "Default"])),
        pages=_pages(pages),
    )
    return text + _WITH_HANDLERS.format(handlers=" and ".join(f"`{name}`" for name in handlers)) if handlers else text


def _pages(pages: Sequence[str]) -> str:
    return _PAGES.format(pages=", ".join(f'"{path}"' for path in pages))
