"""The plan for a Python site: a Worker that is there already, or an app of a framework."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from vinext_worker.copy.static_folders import FILES_FIRST
from vinext_worker.init.configuration import (
    complete_configuration,
    folder_name,
    lower_unknown_date,
    new_configuration,
)
from vinext_worker.init.entry_text import asgi_entry, own_asgi_entry, worker_entry, wsgi_entry
from vinext_worker.init.found import Kind, read_package
from vinext_worker.init.ignored import ignore
from vinext_worker.init.pyproject import require_library
from vinext_worker.init.python_code import App, find_apps, parse, read_entry, uses_vinext
from vinext_worker.init.scripts import add_scripts
from vinext_worker.init.wrangler_file import WranglerFile, find_wrangler_file
from vinext_worker.sites.python_packages import requirement_name, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import Any

    from vinext_worker.init.found import Found
    from vinext_worker.init.plan import Plan
    from vinext_worker.init.setting_up import Setting

GENERATED = (
    "python_modules/",
    ".vinext/",
    "dist/",
    ".wrangler/",
    ".venv-workers/",
    "node_modules/",
    ".dev.vars*",
    "!.dev.vars.example",
)
_SERVERS = frozenset({"uvicorn", "gunicorn", "hypercorn", "daphne", "granian", "waitress", "mod-wsgi", "uwsgi"})
_WSGI = frozenset({Kind.FLASK, Kind.DJANGO})


def plan_worker(plan: Plan, found: Found, setting: Setting) -> None:
    """Put the cache in front of a Python Worker: its entry stays as it is, and becomes the page handler."""
    folder = found.folder
    path = find_wrangler_file(folder)
    assert path is not None  # noqa: S101 - it is what the kind was found by
    file = WranglerFile.read(plan, path)
    main = str(file.values["main"])
    module = folder / main
    if not module.is_file():
        plan.problem(path, f"main names {main}, which does not exist; name the Worker's entry module", file.line_of("main"))
        return
    if module.parent == folder:
        plan.problem(path, f"main is {main}, and its folder is uploaded whole; move the code into src/, and write src/{main}")
        return
    entry = read_entry(module)
    if not entry.is_ours:
        main = _put_in_front(plan, module, file.values, setting)
    complete_configuration(plan, file, main=main, date=setting.date, worker_first=FILES_FIRST)
    lower_unknown_date(plan, file, setting.newest_date)
    file.write(plan, setting.editor)
    if (folder / "public" / "index.html").is_file():
        plan.notes.append("public/index.html is served as /index.html: / is the Worker's now")
    _finish(plan, folder, setting, str(file.values.get("name") or folder_name(folder)))


def _put_in_front(plan: Plan, module: Path, values: Mapping[str, Any], setting: Setting) -> str:
    """Write a new entry module beside the Worker's; return its path for `main`."""
    main = str(values["main"])
    entry = read_entry(module)
    if not entry.has_default:
        line = entry.old_handlers[0][1] if entry.old_handlers else 1
        plan.problem(module, "there is no class Default here, which derives from WorkerEntrypoint and has `fetch`; add it", line)
        return main
    if not module.stem.isidentifier():
        plan.problem(module, "the new entry has to import this module, and its name is none in Python; rename it")
        return main
    names = ("worker.py", "cached_worker.py", "vinext_worker_entry.py")
    name = next(name for name in names if not (module.parent / name).exists() and name != module.name)
    exports = {*entry.exports, *(entry.names & set(_bound_classes(values)))}
    plan.write(module.with_name(name), worker_entry(module.stem, exports, entry.handlers, setting.pages))
    _note_pages(plan, module.with_name(name), setting.pages)
    return f"{main.rpartition('/')[0]}/{name}"


def _bound_classes(values: object) -> Iterator[str]:
    """Yield the classes of the Worker that its configuration names: Durable Objects and Workflows, of every environment."""
    if isinstance(values, Mapping):
        if isinstance(name := values.get("class_name"), str) and "script_name" not in values:
            yield name
        values = values.values()
    elif not isinstance(values, list):
        return
    for value in values:
        yield from _bound_classes(value)


def plan_framework(plan: Plan, found: Found, setting: Setting) -> None:
    """Make a Worker of an app of a framework."""
    folder = found.folder
    app = _the_app(plan, found, setting.app)
    if app is None:
        return
    sources = folder / "src"
    if not app.path.is_relative_to(sources):
        plan.problem(
            app.path,
            "a Worker uploads the folder of its entry whole, so the code has to be in a folder of its own; "
            f"move it into src/: mkdir src && mv {_top(folder, app.path)} src/",
        )
        return
    entry = sources / "entry.py"
    if plan.read(entry) is None:
        plan.write(entry, _framework_entry(plan, found.kind, app, sources, setting))
    elif not read_entry(entry).is_ours:
        plan.problem(entry, "this module is not vinext-worker's, and the Worker's entry has that name; rename it")
        return
    configuration = find_wrangler_file(folder)
    name = folder_name(folder)
    if configuration is None:
        title = "The whole site is one Worker: the app is in src/; vinext-worker and the packages are in python_modules/."
        text = new_configuration(title=title, name=name, main="src/entry.py", date=setting.date, worker_first=FILES_FIRST)
        plan.write(folder / "wrangler.toml", text)
    else:
        plan.problem(configuration, "this configuration is not a Python Worker's; move it to the app that it belongs to")
    _finish(plan, folder, setting, name)


def _the_app(plan: Plan, found: Found, named: str | None) -> App | None:
    if named is not None:
        module, _, name = named.partition(":")
        relative = module.replace(".", "/")
        places = [found.folder / base / f"{relative}{end}" for base in ("src", ".") for end in (".py", "/__init__.py")]
        path = next((place for place in places if place.is_file()), None)
        if path is None or not name:
            plan.problem(found.folder / "src", f"--app {named} is no module:variable of this project")
            return None
        return App(path, name)
    apps = find_apps(found.folder, found.kind)
    if len(apps) == 1:
        return apps[0]
    if not apps:
        plan.problem(
            found.folder, f"{found.kind.label} is named in the dependencies, but no module makes one; name it: --app module:app"
        )
        return None
    named_apps = ", ".join(f"{app.path.relative_to(found.folder)}:{app.name}" for app in apps)
    plan.problem(apps[0].path, f"there are several apps: {named_apps}; name the one to serve: --app module:app")
    return None


def _framework_entry(plan: Plan, kind: Kind, app: App, sources: Path, setting: Setting) -> str:
    module = ".".join(app.path.relative_to(sources).with_suffix("").parts).removesuffix(".__init__")
    if kind in _WSGI:
        _note_pages(plan, sources / "entry.py", setting.pages)
        return wsgi_entry(module, app.name, setting.pages)
    if uses_vinext(sources):
        names = {getattr(statement, "name", None) for statement in parse(app.path).body}
        return own_asgi_entry(module, app.name, has_static_paths="static_paths" in names)
    _note_pages(plan, sources / "entry.py", setting.pages)
    return asgi_entry(module, app.name, setting.pages)


def _note_pages(plan: Plan, path: Path, pages: Sequence[str]) -> None:
    where = path.relative_to(plan.root).as_posix()
    if pages:
        named = " and ".join(pages)
        plan.notes.append(f"the pages that {where} lists in PAGES are cached, the same for every visitor: {named}")
    else:
        plan.notes.append(f"no page is cached yet: list those that are the same for every visitor in PAGES, in {where}")


def _finish(plan: Plan, folder: Path, setting: Setting, name: str) -> None:
    requirements = folder / "requirements.txt"
    has_own_list = (folder / "pyproject.toml").is_file()
    others = [] if has_own_list else _listed(plan, requirements)
    require_library(plan, folder, setting.artifacts, name=name, others=others)
    if requirements.is_file():
        plan.notes.append(
            "pyproject.toml lists the packages now; delete requirements.txt when nothing else needs it, because Cloudflare's "
            "pywrangler refuses a project that has one"
        )
    ignore(plan, folder, GENERATED)
    if read_package(folder):
        add_scripts(plan, folder, setting)


def _listed(plan: Plan, requirements: Path) -> list[str]:
    """Return the packages of requirements.txt without servers, which a Worker does not need."""
    if not requirements.is_file():
        return []
    packages = []
    for number, line in enumerate(text_of(requirements).splitlines(), 1):
        requirement = line.partition(" #")[0].partition(" --hash")[0].strip().removesuffix("\\").strip()
        if not requirement or requirement.startswith(("#", "--hash")):
            continue
        name = requirement_name(requirement)
        if not name:
            plan.problem(
                requirements, f"{json.dumps(requirement)} cannot be moved to pyproject.toml; write the packages there", number
            )
        elif name in _SERVERS:
            plan.notes.append(f"{name} is left out: a Worker needs no server")
        else:
            packages.append(requirement)
    return packages


def _top(folder: Path, path: Path) -> str:
    return path.relative_to(folder).parts[0]
