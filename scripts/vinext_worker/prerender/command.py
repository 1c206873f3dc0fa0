from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vinext_worker.alone import builds_alone
from vinext_worker.cloudflare.deployment import configuration_options, site_argument
from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.errors import UserError
from vinext_worker.prerender.run import prerender_site
from vinext_worker.project import Project, configuration_in
from vinext_worker.sites.python_packages import install_python_packages, text_of
from vinext_worker.sites.python_project import PythonProject
from vinext_worker.terminal.log_lines import show_line
from vinext_worker.terminal.output import Output, json_option
from vinext_worker.tools import Tools

if TYPE_CHECKING:
    from vinext_worker.prerender.run import PrerenderReport

CONCURRENCY = 8


@click.command
@site_argument
@configuration_options
@click.option(
    "--paths",
    "paths_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Render the paths in this file, one on each line.  [default: the site's static_paths()]",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 64),
    default=CONCURRENCY,
    show_default=True,
    metavar="N",
    help="Render N pages at a time.",
)
@json_option
def prerender(  # noqa: PLR0913 - the command line
    *,
    site: Path | None,
    config_path: Path | None,
    environment: str | None,
    paths_file: Path | None,
    concurrency: int,
    as_json: bool,
) -> None:
    """Render the pages of a Python site, and write them as a build.

    SITE, by default the current project, has a wrangler configuration whose `main` is a Python module. The command renders in
    the local runtime, with the variables of the deployed Worker. It writes the build to SITE's folder dist, where copy, populate
    and deploy find it. It skips pages that the cache would not keep, and lists them with the reasons. It exits with 1 if a page
    failed.

    \b
    Examples:
      vinext-worker prerender examples/starlette
      vinext-worker prerender . --env staging
      vinext-worker prerender . --paths paths.txt --json
    """  # noqa: D301 - \b is click's
    output = Output(as_json)
    python_project = require_python_project(site, config_path, environment)
    say_local_secrets(python_project.config, output)
    with builds_alone(python_project.local):
        report = run_prerender(python_project, Tools(python_project.root), output, paths_file, concurrency)
    show_prerender(report, output)
    if report.failed:
        raise SystemExit(1)


def require_python_project(site: Path | None, config_path: Path | None, environment: str | None) -> PythonProject:
    """Return the Python site of a configuration, by default the one in the site's folder, as it is deployed.

    Raises UserError if there is none.
    """
    folder = config_path.parent if config_path is not None and site is None else site or Project.find().root
    path = config_path or configuration_in(folder)
    config = None if path is None else WranglerConfig.read(path, environment)
    if config is not None and config.folder != folder.resolve():
        raise UserError(f"{config.path} is not the configuration of {folder}: it is in another folder; leave one of the two out")
    project = None if config is None else PythonProject.find(config.folder, config.as_deployed())
    if project is None:
        raise UserError(
            f"{folder} is no Python site, with a wrangler.toml that names a Python module as main and no service that renders "
            "its pages; a vinext app pre-renders them in its own build"
        )
    return project


def say_local_secrets(config: WranglerConfig, output: Output) -> None:
    """Say which variables pages are rendered with that are known on this machine alone."""
    if config.local_secrets:
        names = ", ".join(config.local_secrets)
        output.line(f"rendering with {names} of .dev.vars, in place of the deployed Worker's secrets", "dim")


def run_prerender(  # noqa: PLR0913 - the parameters of a run
    project: PythonProject,
    tools: Tools,
    output: Output,
    paths_file: Path | None = None,
    concurrency: int = CONCURRENCY,
    *,
    may_be_empty: bool = False,
) -> PrerenderReport:
    """Install the site's packages, render its pages, and show progress."""
    install_python_packages(project, tools, output.steps_console)
    paths = None if paths_file is None else _read_paths(paths_file)
    with output.progress("pages") as progress:
        task = progress.add_task("pre-rendering", total=None if paths is None else len(paths), rate=0)
        return prerender_site(
            project,
            tools,
            paths=paths,
            concurrency=concurrency,
            on_page=lambda _path: progress.advance(task),
            on_log=lambda line: show_line(line, output.steps_console),
            may_be_empty=may_be_empty,
        )


def show_prerender(report: PrerenderReport, output: Output) -> None:
    """Show the result."""
    output.document(
        {
            "buildId": report.build_id,
            "rendered": report.rendered,
            "skipped": [{"path": path, "reason": reason} for path, reason in report.skipped],
            "failed": [{"path": path, "reason": reason} for path, reason in report.failed],
        }
    )
    output.line(f"build {report.build_id}: {report.rendered} page{'' if report.rendered == 1 else 's'} rendered")
    output.reasons("skipped", list(report.skipped), len(report.skipped), "yellow")
    output.reasons("failed", list(report.failed), len(report.failed), "red")


def _read_paths(file: Path) -> list[str]:
    lines = (line.strip() for line in text_of(file).splitlines())
    paths = [line for line in lines if line and not line.startswith("#")]
    wrong = next((path for path in paths if not path.startswith("/")), None)
    if wrong is not None:
        raise UserError(f"{file}: {wrong!r} is no path; write a path that begins with /, or a comment that begins with #")
    return paths
