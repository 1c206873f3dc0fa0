"""vinext-worker's own wrangler configuration: a new one, or one that is there and lacks something."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vinext_worker.init.plan import Plan
    from vinext_worker.init.wrangler_file import WranglerFile

NO_NAMESPACE = "00000000000000000000000000000000"
"""Stands where the ID of a KV namespace belongs; `deploy` offers to put one in."""

FIRST_DATE = "2026-09-08"
"""From this compatibility date on, Python Workers run Python 3.14."""

ASSETS = ".vinext/assets"
_KV, _ASSETS_BINDING, _PAGES = "VINEXT_CACHE", "ASSETS", "PAGES"

_TEMPLATE = """\
# {title}
name = {name}
main = "{main}"
# From compatibility date 2026-09-08 on, Python Workers run Python 3.14.
compatibility_date = "{date}"
compatibility_flags = ["python_workers"]

# The page cache. The first `vinext-worker deploy` makes the namespace and puts its ID here, if you want it to. By hand:
# `npx wrangler kv namespace create VINEXT_CACHE`.
[[kv_namespaces]]
binding = "VINEXT_CACHE"
id = "{no_namespace}"

# The site's static files and pre-rendered pages. `vinext-worker` fills this folder.
[assets]
directory = "{assets}"
binding = "ASSETS"
html_handling = "none"
not_found_handling = "none"
run_worker_first = {worker_first}
{services}
# Keep the Worker's logs in the Cloudflare dashboard.
[observability]
enabled = true
"""

_SERVICES = """
# The app's Worker, which renders the pages.
[[services]]
binding = "PAGES"
service = {service}
"""


def new_configuration(  # noqa: PLR0913 - what differs from one to the next
    *, title: str, name: str, main: str, date: str, worker_first: Sequence[str], service: str | None = None
) -> str:
    """Return a whole wrangler.toml. `worker_first` are the rules for which files come before the Worker."""
    services = _SERVICES.format(service=json.dumps(service)) if service else ""
    return _TEMPLATE.format(
        title=title,
        name=json.dumps(name),
        main=main,
        date=date,
        worker_first=json.dumps(worker_first),
        services=services,
        no_namespace=NO_NAMESPACE,
        assets=ASSETS,
    )


def complete_configuration(  # noqa: PLR0913 - likewise
    plan: Plan, file: WranglerFile, *, main: str, date: str, worker_first: Sequence[str], service: str | None = None
) -> None:
    """Add to a configuration what the Worker needs, and leave the rest alone."""
    values = file.values
    file.set(("main",), main)
    given = str(values.get("compatibility_date", ""))
    if not given or given < FIRST_DATE:
        file.set(("compatibility_date",), date)
    file.require_flag("python_workers")
    if all(row.get("binding") != _KV for row in values.get("kv_namespaces", [])):
        file.add("kv_namespaces", {"binding": _KV, "id": NO_NAMESPACE})
    _complete_assets(plan, file, worker_first)
    if service is not None:
        rows = values.get("services", [])
        index = next((index for index, row in enumerate(rows) if row.get("binding") == _PAGES), None)
        if index is None:
            file.add("services", {"binding": _PAGES, "service": service})
        elif rows[index].get("service") != service:
            file.set(("services", index, "service"), service)


def _complete_assets(plan: Plan, file: WranglerFile, worker_first: Sequence[str]) -> None:
    assets = file.values.get("assets") or {}
    directory = str(assets.get("directory", "")).removeprefix("./").rstrip("/")
    if directory not in {"", "public", ASSETS}:
        plan.problem(
            file.path,
            f"assets.directory is {directory!r}; move these files to public/, from where they are served, and write {ASSETS!r}",
            file.line_of("directory"),
        )
        return
    wanted = {
        "directory": ASSETS,
        "binding": _ASSETS_BINDING,
        "html_handling": "none",
        "not_found_handling": "none",
        "run_worker_first": list(worker_first),
    }
    if not assets:
        file.set(("assets",), wanted)
        return
    for name, value in wanted.items():
        # Rules of the site's own stay.
        if name != "run_worker_first" or not isinstance(assets.get(name), list):
            file.set(("assets", name), value)


def lower_unknown_date(plan: Plan, file: WranglerFile, newest: str) -> None:
    """Write the newest compatibility date that the local runtime knows in place of a later one, and say so."""
    given = str(file.values.get("compatibility_date", ""))
    if given > newest:
        file.set(("compatibility_date",), newest)
        plan.notes.append(
            f"{file.path.name}: the local runtime knows compatibility dates up to {newest}, so {given} becomes {newest}"
        )


def worker_name(text: str) -> str:
    """Return a name that a Worker may have: small letters, digits and dashes, at most 63.

    Source: https://developers.cloudflare.com/workers/wrangler/configuration/#inheritable-keys
    """
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:63].strip("-")
    return name or "site"


def folder_name(folder: Path) -> str:
    """Return the name for a Worker whose project has none."""
    return worker_name(folder.resolve().name)
