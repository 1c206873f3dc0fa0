"""A site that is about to be served locally: installed, built, and copied to where the Worker finds its pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.copy.build_copy import copy_build
from vinext_worker.copy.static_folders import assets_advice
from vinext_worker.init.wrangler_file import find_wrangler_file
from vinext_worker.local_runtime.dates import newest_date, require_known_date
from vinext_worker.prerender.command import run_prerender, show_prerender
from vinext_worker.sites.fingerprint import python_fingerprint
from vinext_worker.sites.python_packages import install_front_packages, install_python_packages
from vinext_worker.sites.site_build import build_vinext_site, python_build
from vinext_worker.terminal.output import Output

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from vinext_worker.copy.build_copy import CopyReport
    from vinext_worker.sites.python_project import PythonProject
    from vinext_worker.tools import Tools

_PAGES_BINDING = "PAGES"
_SHOWN_SKIPPED = 5


def prepare_vinext_site(folder: Path, tools: Tools, config: WranglerConfig, console: Console, assets: Path) -> Path:
    """Build the vinext app and copy its pages to a folder of assets; return the configuration of the built Worker."""
    config.assets_directory  # noqa: B018 - it raises
    newest = newest_date(tools.workerd_version)
    require_known_date(config, newest)
    install_front_packages(config, tools, console)
    build = build_vinext_site(folder, tools, console)
    require_known_date(WranglerConfig.read(build.server_config), newest, find_wrangler_file(folder))
    report = copy_build(build, assets)
    console.print(f"{report.routes} pre-rendered pages of {folder} are in place (build {report.build_id})")
    console.print("the app is served as it was built: after a change of its sources, start `vinext-worker dev` again")
    _show_advice(config, report, console)
    if report.skipped:
        shown = ", ".join(f"{path} ({reason})" for path, reason in report.skipped[:_SHOWN_SKIPPED])
        rest = len(report.skipped) - _SHOWN_SKIPPED
        console.print(f"rendered on request: {shown}{f' and {rest} more' if rest > 0 else ''}", markup=False)
    return build.server_config


def prepare_python_site(project: PythonProject, tools: Tools, console: Console, assets: Path) -> None:
    """Install the site's packages, pre-render it if its sources have changed, and copy its pages to a folder of assets.

    A page that fails is reported, and rendered when a visitor asks for it. Raises UserError.
    """
    project.config.assets_directory  # noqa: B018 - it raises
    require_known_date(project.config, newest_date(tools.workerd_version))
    install_python_packages(project, tools, console)
    stamp = project.build_directory.parent / ".vinext-worker-build"
    sources = python_fingerprint(project)
    if not (stamp.is_file() and stamp.read_text() == sources):
        output = Output(console=console)
        show_prerender(run_prerender(project, tools, output, may_be_empty=True), output)
        stamp.write_text(sources)
    _show_advice(project.config, copy_build(python_build(project), assets), console)


def _show_advice(config: WranglerConfig, report: CopyReport, console: Console) -> None:
    for advice in assets_advice(config, report.static_folders, report.static_files):
        console.print(advice, style="yellow", markup=False)


def pages_binding(config: WranglerConfig, server_config: Path) -> str:
    """Return the binding that names the built Worker, or the default one."""
    name = WranglerConfig.read(server_config).name
    return next((binding for binding, service in config.services.items() if service == name), _PAGES_BINDING)
