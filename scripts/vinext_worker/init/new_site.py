"""A small complete site, for a folder in which there is nothing yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vinext_worker.copy.static_folders import FILES_FIRST
from vinext_worker.init.configuration import folder_name, new_configuration
from vinext_worker.init.ignored import ignore
from vinext_worker.init.pyproject import require_library
from vinext_worker.init.python_site import GENERATED

if TYPE_CHECKING:
    from pathlib import Path

    from vinext_worker.init.plan import Plan
    from vinext_worker.init.setting_up import Setting

_PACKAGES = ("starlette>=1.0",)

_APP = '''\
"""The site. A page with a period is cached; one without is rendered for each request."""

from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from vinext import revalidate


# From public/, whose files are served without this code.
_STYLE = "<link rel='stylesheet' href='/static/site.css'>"


def page(title, text):
    return HTMLResponse(f"<!doctype html><html lang='en'><title>{title}</title>{_STYLE}<h1>{title}</h1><p>{text}</p></html>")


@revalidate(False)
async def home(request):
    """Never stale: rendered when you build."""
    return page("Hello", "Look at <a href='/time'>the time</a>, or <a href='/greeting?name=you'>a greeting</a>.")


@revalidate(60, tags=["time"])
async def time(request):
    """Regenerated once a minute at most."""
    return page("The time", f"This page was rendered at {datetime.now(UTC):%H:%M:%S}.")


async def greeting(request):
    """Rendered for each request."""
    # Escaped, because it comes from the address.
    name = request.query_params.get("name", "nobody").replace("&", "&amp;").replace("<", "&lt;")
    return page("A greeting", f"Hello, {name}.")


app = Starlette(routes=[Route("/", home), Route("/time", time), Route("/greeting", greeting)])


def static_paths():
    """The pages that are rendered when you build."""
    return ["/", "/time"]
'''

_ENTRY = '''\
"""The Worker's entry: the cache, with the app behind it."""

from app import app, static_paths

from vinext import use_asgi
from vinext.worker import Default

__all__ = ["Default"]

use_asgi(app, static_paths=static_paths)
'''

TEMPLATES = ("python",)


def plan_new_site(plan: Plan, folder: Path, setting: Setting) -> None:
    """Write a Starlette site with a page for each way a page can be cached."""
    plan.write(folder / "src" / "app.py", _APP)
    plan.write(folder / "src" / "entry.py", _ENTRY)
    plan.write(
        folder / "public" / "static" / "site.css", "body { font-family: system-ui; margin: 2rem auto; max-width: 40rem; }\n"
    )
    title = "The whole site is one Worker: the app is in src/; vinext-worker and the packages are in python_modules/."
    name = folder_name(folder)
    text = new_configuration(title=title, name=name, main="src/entry.py", date=setting.date, worker_first=FILES_FIRST)
    plan.write(folder / "wrangler.toml", text)
    require_library(plan, folder, setting.artifacts, name=name, others=_PACKAGES)
    ignore(plan, folder, GENERATED)
