from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.text import Text

from vinext_worker.errors import UserError
from vinext_worker.init.artifacts import Artifacts
from vinext_worker.init.editor import Editor
from vinext_worker.init.found import Kind, found_below, found_in
from vinext_worker.init.install import install_packages
from vinext_worker.init.new_site import TEMPLATES, plan_new_site
from vinext_worker.init.plan import Plan
from vinext_worker.init.python_site import plan_framework, plan_worker
from vinext_worker.init.setting_up import Setting
from vinext_worker.init.vinext_app import has_adapter, plan_vinext_app
from vinext_worker.local_runtime.dates import newest_date
from vinext_worker.sites.package_manager import package_manager
from vinext_worker.sites.vinext_project import FRONT_FOLDER
from vinext_worker.tools import TOOLS_LABEL, Tools

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vinext_worker.init.found import Found
    from vinext_worker.installation import Installation

_VINEXT_INIT = "npx vinext@1.4.0 init --platform=cloudflare --legacy-wrangler-cloudflare-init"
_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


@click.command
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path, file_okay=False), default=".")
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in Kind if kind is not Kind.NEXT]),
    help="Set up this one, if DIR holds several.",
)
@click.option("--template", type=click.Choice(TEMPLATES), help="Make a new site of this kind in DIR, where there is none yet.")
@click.option("--app", metavar="MODULE:VARIABLE", help="Serve this Python app, if there are several.")
@click.option(
    "--pages",
    default="/",
    show_default=True,
    metavar="PATHS",
    help="Cache these pages of a Python site, which are the same for everybody; put blanks between them.",
)
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--yes", is_flag=True, help="Change the files without asking.")
@click.option(
    "--install/--no-install", default=True, show_default=True, help="Install the npm packages of a vinext app afterwards."
)
def init(  # noqa: PLR0913 - the command line
    *,
    folder: Path,
    kind: str | None,
    template: str | None,
    app: str | None,
    pages: str,
    dry_run: bool,
    yes: bool,
    install: bool,
) -> None:
    """Set up a project, or make a new site.

    DIR, by default the current folder, is a vinext app, a Python Worker, a FastAPI, Starlette, Django or Flask app, or a folder
    for a new site. The command shows what it will change, as a unified diff, and asks before it changes anything. Comments and
    formats stay. What it cannot change it names, with file and line; then it changes nothing and exits with 1. Run it again at
    any time: it adds what is missing.

    \b
    Examples:
      vinext-worker init --dry-run
      vinext-worker init apps/web
      vinext-worker init my-site --template python
    """  # noqa: D301 - \b is click's
    console = Console(highlight=False, soft_wrap=True)
    folder = folder.resolve()
    found = _chosen(folder, kind, template, asks=not (yes or dry_run), console=console)
    tools = Tools(folder)
    plan = Plan(folder if found is None else found.folder)
    setting = Setting(
        Editor(tools),
        _artifacts(tools.installation),
        newest_date(tools.workerd_version),
        tuple(pages.split()),
        app,
    )
    _make(plan, found, setting)
    if plan.problems:
        _show_problems(plan)
    changed = plan.changed
    for line in plan.diff():
        # Not by the console, which turns tabs into spaces.
        click.secho(line, fg=_COLOURS.get(line[:1]))
    for note in plan.notes if changed else ():
        console.print(Text(f"note: {note}", style="yellow"))
    has_to_install = found is not None and found.kind is Kind.VINEXT and (bool(changed) or not has_adapter(found.folder))
    installs = install and has_to_install
    if dry_run:
        console.print(f"{_files(changed)} would change; nothing was changed")
        if installs:
            console.print(f"Then `{package_manager(plan.root)} install` would install the npm packages", markup=False)
        if (place := tools.folder_to_fill()) is not None:
            console.print(f"The first `vinext-worker dev` would install {TOOLS_LABEL} into {place}", markup=False)
        return
    if changed:
        _confirm(plan, yes=yes)
        plan.apply()
        console.print(f"{_files(changed)} changed")
    else:
        console.print("nothing to change: everything is there")
    if installs:
        _install(plan.root, tools.node, console)
    first = [f"{package_manager(plan.root)} install"] if has_to_install and not installs else []
    console.print(f"Now run: {_commands_in(plan.root, *first, 'vinext-worker dev')}", markup=False)


def _chosen(folder: Path, kind: str | None, template: str | None, *, asks: bool, console: Console) -> Found | None:
    """Return the project to set up, None for a new site; raise UserError if it is not clear which."""
    if not folder.is_dir():
        if template is None:
            raise UserError(f"{folder} does not exist; name the folder of a site, or make a new one there with --template python")
        return None
    if folder.name == FRONT_FOLDER and any(found.kind is Kind.VINEXT for found in found_in(folder.parent)):
        folder = folder.parent
    here = found_in(folder)
    if kind is not None:
        here = [found for found in here if found.kind == kind]
        if not here:
            raise UserError(f"{folder} is not {Kind(kind).label}; leave --kind out to see what it is")
    if template is not None and here:
        raise UserError(f"{folder} has {here[0].kind.label} already; leave --template out to set that up")
    if len(here) > 1:
        names = " and ".join(found.kind.label for found in here)
        raise UserError(f"{folder} has {names}; name the one to set up: {' or '.join(f'--kind {found.kind}' for found in here)}")
    if not here:
        _require_wanted(folder, template, asks=asks)
        return None
    console.print(f"{folder}: {here[0].kind.label}", markup=False)
    return here[0]


def _require_wanted(folder: Path, template: str | None, *, asks: bool) -> None:
    """Raise UserError unless a new site is wanted in a folder in which there is none."""
    below = found_below(folder)
    if below and template is None:
        rows = "".join(f"\n  vinext-worker init {_quoted(_relative(found.folder))}    # {found.kind.label}" for found in below)
        raise UserError(f"{folder} itself is no site; name the folder of the one to set up:{rows}")
    if template is None:
        question = f"There is no site in {folder}. Make a small one in Python there?"
        if not (asks and sys.stdin.isatty() and click.confirm(question)):
            raise UserError(
                f"{folder} has no vinext app, no Python Worker and no FastAPI, Starlette, Django or Flask app; "
                "name the folder of one, or make a new site with --template python"
            )


def _make(plan: Plan, found: Found | None, setting: Setting) -> None:
    if found is None:
        plan_new_site(plan, plan.root, setting)
        return
    match found.kind:
        case Kind.NEXT:
            raise UserError(
                f"{found.folder} is a Next.js app that is not on vinext yet; run `{_VINEXT_INIT}` there, then this again"
            )
        case Kind.VINEXT:
            plan_vinext_app(plan, found.folder, setting)
        case Kind.WORKER:
            plan_worker(plan, found, setting)
        case _:
            plan_framework(plan, found, setting)
    if plan.changed and (uncommitted := _uncommitted(plan.root)):
        plan.notes.append(f"git has {uncommitted} uncommitted changes here; commit them first to see these ones alone")


def _show_problems(plan: Plan) -> None:
    """Raise UserError with everything that has to be changed by hand."""
    rows = "".join(f"\n  {problem.path.relative_to(plan.root)}:{problem.line}: {problem.message}" for problem in plan.problems)
    notes = "".join(f"\n  note: {note}" for note in plan.notes)
    raise UserError(
        f"{plan.root} cannot be set up as it is, so nothing was changed. Change by hand, and run this again:{rows}{notes}"
    )


def _confirm(plan: Plan, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError(
            "nothing was changed, because nobody can be asked; say --yes to change these files, or --dry-run to look only"
        )
    click.confirm(f"Change {_files(plan.changed)}?", abort=True)


def _install(folder: Path, node: Path, console: Console) -> None:
    with console.status(f"installing the npm packages of {folder} …"):
        install_packages(folder, node)
    console.print("the npm packages are installed")


def _files(paths: Sequence[Path]) -> str:
    return "1 file" if len(paths) == 1 else f"{len(paths)} files"


def _artifacts(installation: Installation) -> Artifacts:
    library = installation.library()
    return Artifacts(library.name.split("-")[1], library, installation.adapter())


def _uncommitted(folder: Path) -> int:
    command = ["git", "-C", str(folder), "status", "--porcelain"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return 0  # there is no git
    return len(done.stdout.splitlines())


def _commands_in(folder: Path, *commands: str) -> str:
    """Return a line that runs commands in a folder."""
    return " && ".join(commands if folder == Path.cwd() else (f"cd {_quoted(_relative(folder))}", *commands))


def _relative(folder: Path) -> str:
    return str(folder.relative_to(Path.cwd())) if folder.is_relative_to(Path.cwd()) else str(folder)


def _quoted(text: str) -> str:
    return f"'{text}'" if " " in text else text
