from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import click
from rich.text import Text

from vinext_worker.alone import builds_alone
from vinext_worker.cloudflare.client import TOKEN_VARIABLE
from vinext_worker.cloudflare.deployment import R2_BINDING, Deployment, build_for, configuration_options, site_argument
from vinext_worker.cloudflare.kv_namespace import CACHE_BINDING, is_placeholder
from vinext_worker.cloudflare.login import has_token
from vinext_worker.cloudflare.stores import describe_stores
from vinext_worker.cloudflare.wrangler import ProgramRunner, Wrangler, WranglerError
from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.copy.build_copy import copy_build
from vinext_worker.copy.command import kept_builds_option
from vinext_worker.copy.earlier_builds import EarlierBuilds
from vinext_worker.copy.static_folders import assets_advice
from vinext_worker.deploy.gradual import Gradual, WorkerConfig
from vinext_worker.deploy.live import deploy_live
from vinext_worker.deploy.new_namespace import can_ask, with_namespace
from vinext_worker.deploy.options import DeployOptions, percentages
from vinext_worker.deploy.preflight import (
    app_name,
    asset_faults,
    configuration_faults,
    log_in,
    package_faults,
    page_handler_faults,
    require_all,
    require_few_files,
    service_faults,
    size_faults,
)
from vinext_worker.deploy.site_check import SiteCheck
from vinext_worker.deploy.steps import Step, run_steps, what_now
from vinext_worker.errors import UserError
from vinext_worker.server_url import server_url
from vinext_worker.sites.python_packages import install_front_packages
from vinext_worker.sites.python_project import PythonProject
from vinext_worker.sites.site_build import build_vinext_site, find_build, find_site
from vinext_worker.terminal.interruption import end_as_by_ctrl_c
from vinext_worker.terminal.output import Output, json_option

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from vinext_worker.cloudflare.wrangler import Runner
    from vinext_worker.deploy.steps import StepResult
    from vinext_worker.sites.site_build import SiteBuild

_STYLES = {"done": "green", "skipped": "dim", "failed": "red", "not done": "yellow"}


@click.command
@site_argument
@configuration_options
@click.option(
    "--dry-run", is_flag=True, help="Build and copy, then run `wrangler deploy --dry-run`; nothing leaves this machine."
)
@click.option("--skip-build", is_flag=True, help="Use SITE's build as it is.")
@click.option(
    "--no-populate-kv", is_flag=True, help="Do not write to Workers KV or R2; pages are then seeded on their first request."
)
@click.option("--tpr", "with_tpr", is_flag=True, help="Also pre-render the pages that visitors request most.")
@click.option("--no-check", is_flag=True, help="Do not check the deployed app's pages.")
@click.option(
    "--sample", type=click.IntRange(1), default=100, show_default=True, metavar="N", help="Check N pages, chosen at random."
)
@click.option("--url", help="Check the app at this URL.  [default: the first of the routes, else the one that wrangler prints]")
@click.option(
    "--gradual", is_flag=True, help="Let the new versions reach visitors in steps, and take them back if a check is red."
)
@click.option(
    "--steps",
    callback=lambda _context, _option, text: percentages(text),
    default="10,50",
    show_default=True,
    help="With --gradual, lead these percentages of the visitors to the new Worker first, one after the other.",
)
@click.option(
    "--step-seconds",
    type=click.FloatRange(0),
    default=60,
    show_default=True,
    help="With --gradual, stay so many seconds at each step.",
)
@kept_builds_option
@click.option("--verbose", is_flag=True, help="Also show all that wrangler prints.")
@json_option
def deploy(  # noqa: PLR0913 - the command line
    *,
    site: Path | None,
    config_path: Path | None,
    environment: str | None,
    dry_run: bool,
    skip_build: bool,
    no_populate_kv: bool,
    with_tpr: bool,
    no_check: bool,
    sample: int,
    url: str | None,
    gradual: bool,
    steps: tuple[int, ...],
    step_seconds: float,
    kept_builds: int,
    verbose: bool,
    as_json: bool,
) -> None:
    """Build a site, fill its cache, deploy it and check it.

    SITE is a vinext app or a Python site, by default the current project's. Its page handler and the Worker in front of it are
    deployed. If a step fails, the command stops and lists the steps that were not done. It populates before it deploys: keys
    contain the new build's ID, so the live app is not touched until then.

    \b
    Examples:
      vinext-worker deploy examples/vinext --dry-run
      vinext-worker deploy examples/vinext --env production --tpr
      vinext-worker deploy ../shop --skip-build --no-populate-kv
      vinext-worker deploy ../shop --gradual --steps 5,25,50 --step-seconds 300
    """  # noqa: D301 - \b is click's
    if gradual and no_check:
        raise click.UsageError("--gradual decides by the check, so it does not go with --no-check")
    if url is not None:
        server_url(url)
    end_as_by_ctrl_c()
    build_for(environment)
    output = Output(as_json)
    deployment = Deployment.read(config_path, environment, site)
    site = find_site(deployment.config, site)
    python_project = PythonProject.find(site, deployment.config.as_deployed())
    options = DeployOptions(
        dry_run=dry_run,
        skip_build=skip_build,
        populate_kv=not no_populate_kv,
        tpr=with_tpr,
        check=not no_check,
        sample=sample,
        url=url,
        verbose=verbose,
        gradual=gradual,
        steps=steps,
        step_seconds=step_seconds,
        kept_builds=kept_builds,
    )
    runner = ProgramRunner(lambda line: output.line(f"  {line}", "dim") if verbose else None)
    with builds_alone(deployment.project.local):
        results = Deploy(site, python_project, deployment, options, output, runner).run()
    output.document({"dryRun": dry_run, "complete": all(result.state != "failed" for result in results), "steps": _rows(results)})
    failed = next((result for result in results if result.state == "failed"), None)
    if failed is not None:
        raise UserError(what_now(failed, results, dry_run=dry_run))


class Deploy:
    """One deploy; a step can use the results of the steps before it."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a deploy
        self,
        site: Path,
        python_project: PythonProject | None,
        deployment: Deployment,
        options: DeployOptions,
        output: Output,
        runner: Runner,
    ) -> None:
        self._site = site
        self._python_project = python_project
        self._deployment = deployment
        self._options = options
        self._output = output
        # The documents of the single steps are no part of this command's document.
        self._quiet = Output(as_json=False, console=output.console) if not output.as_json else _silent(output)
        self._wrangler = Wrangler(deployment.project.tools, runner, deployment.config.folder)
        self._build_id = ""
        self._urls: list[str] = []

    def run(self) -> list[StepResult]:
        """Run the steps, until one fails."""
        return run_steps(self.steps(), lambda step: self._output.line(f"{step.name} …", "bold"), self._show)

    def steps(self) -> list[Step]:
        """Return all steps in order."""
        options = self._options
        no_kv = self._no_store() if options.populate_kv else "--no-populate-kv"
        no_tpr = "" if options.tpr else "no --tpr"
        no_tpr = "a dry run renders nothing" if options.tpr and options.dry_run else no_tpr or no_kv
        no_check = "" if options.check else "--no-check"
        if options.gradual and not options.dry_run:
            last = [Step("upload the versions", self._upload), Step("roll out", self._roll_out, is_live=True)]
        else:
            last = [
                Step("deploy the page handler", self._deploy_pages, self._no_pages(), is_live=True),
                Step("deploy the Worker", self._deploy_worker, is_live=True),
                Step("check", self._check, "a dry run deploys nothing" if options.dry_run else no_check),
            ]
        return [
            Step("preflight", self._preflight),
            Step("build", self._build, "--skip-build" if options.skip_build else ""),
            Step("copy", self._copy),
            Step("populate", self._populate, no_kv),
            Step("tpr", self._tpr, no_tpr),
            *last,
        ]

    def _preflight(self) -> str:
        config = self._deployment.config
        is_python = self._python_project is not None
        app = None if is_python else app_name(self._site, config.environment)
        services = page_handler_faults(config) if is_python else service_faults(self._deployment, app)
        self._output.line(describe_stores(self._deployment))
        lacks_namespace = is_placeholder(config) and (self._options.dry_run or can_ask(self._output))
        require_all([*configuration_faults(self._deployment, may_lack_namespace=lacks_namespace), *services])
        if self._options.skip_build:
            require_few_files(self._site_build())
        said = "the configuration is complete; a dry run does not ask Cloudflare"
        if lacks_namespace and self._options.dry_run:
            said = f"{config.path} has no KV namespace yet, which a deploy needs; a dry run does not ask Cloudflare"
        if not self._options.dry_run:
            if lacks_namespace:
                self._deployment = with_namespace(self._deployment, self._wrangler, self._output)
                config = self._deployment.config
            login = log_in(self._wrangler, self._deployment)
            self._wrangler = self._wrangler.of_account(login.account)
            said = f"account {login.account}, by {login.kind}"
        # Nothing is written where one of these is wrong. A Python site's packages are installed by its build.
        if not is_python and not self._options.skip_build:
            install_front_packages(config, self._deployment.project.tools, self._output.steps_console)
        if not is_python or self._options.skip_build:
            require_all(package_faults(config))
        return said

    def _build(self) -> str:
        if self._python_project is None:
            built = build_vinext_site(self._site, self._deployment.project.tools, self._output.steps_console)
            return f"vinext {built.vinext_version} in {built.root}"
        from vinext_worker.prerender.command import (  # noqa: PLC0415 - brings the local runtime with it
            run_prerender,
            say_local_secrets,
        )

        say_local_secrets(self._python_project.config, self._output)
        report = run_prerender(self._python_project, self._deployment.project.tools, self._output, may_be_empty=True)
        if report.failed:
            path, reason = report.failed[0]
            raise UserError(
                f"{len(report.failed)} pages could not be rendered, the first is {path}: {reason}; fix it, then deploy again"
            )
        return f"{report.rendered} pages rendered, {len(report.skipped)} left for their first request"

    def _site_build(self) -> SiteBuild:
        return find_build(self._site, self._deployment.config)

    def _copy(self) -> str:
        if not self._options.skip_build:
            require_few_files(self._site_build())
        folder = self._deployment.assets_directory
        report = copy_build(self._site_build(), folder, self._options.kept_builds)
        self._build_id = report.build_id
        files = [path for path in folder.rglob("*") if path.is_file()]
        faults, notes = asset_faults(len(files), f"{folder} has")
        require_all([*faults, *size_faults(files), *self._late_faults()])
        advice_on_assets = assets_advice(self._deployment.config, report.static_folders, report.static_files)
        for advice in (*advice_on_assets, *notes):
            self._quiet.line(advice, "yellow")
        return f"build {report.build_id}: {report.routes} pages, {report.skipped_routes} not served from the build"

    def _late_faults(self) -> list[str]:
        """Return what only the build shows."""
        if self._python_project is not None:
            return package_faults(self._deployment.config)
        return service_faults(self._deployment, WranglerConfig.read(self._site_build().server_config).name)

    def _populate(self) -> str:
        from vinext_worker.populate.command import PopulateOptions, count_entries, populate_build  # noqa: PLC0415 - see below

        folder = self._deployment.assets_directory
        if self._options.dry_run:
            entries, skipped = count_entries(self._deployment, folder)
            return f"{entries} entries would be written, {skipped} pages skipped"
        try:
            report = populate_build(self._deployment, folder, PopulateOptions(), self._quiet)
        except WranglerError as error:
            # Each page is seeded from the assets on its first request.
            return f"nothing written ({error}); pages come from the build on their first request"
        if not report.is_complete:
            unwritten = f"{report.failed.count} of {report.entries} entries were not written"
            if not has_token():
                return f"{unwritten}; these pages come from the build on their first request"
            raise UserError(f"{unwritten}; deploy again to continue")
        return f"{report.written} entries written, {report.unchanged} were already there"

    def _tpr(self) -> str:
        from vinext_worker.tpr.command import TprOptions, run_tpr  # noqa: PLC0415 - brings an HTTP client with it

        report = run_tpr(self._deployment, self._site, TprOptions(), self._quiet)
        if report is None:
            return "nothing to render"
        if not report.is_complete:
            raise UserError(f"{report.failed.count} of {report.entries} entries were not written; deploy again")
        return f"{report.written} entries written"

    def _no_store(self) -> str:
        """Return why nothing can be written before the deploy, "" if it can."""
        config = self._deployment.config
        if CACHE_BINDING in config.kv_namespaces:
            return ""
        if R2_BINDING not in config.r2_buckets:
            return "the configuration has no KV namespace"
        return "" if has_token() or self._options.dry_run else f"R2 is written with a token, and {TOKEN_VARIABLE} is not set"

    def _no_pages(self) -> str:
        return "a Python site renders its pages in the Worker itself" if self._python_project is not None else ""

    def _deploy_pages(self) -> str:
        self._deploy(self._site_build().server_config, None)
        return "a dry run: not deployed" if self._options.dry_run else "live"

    def _deploy_worker(self) -> str:
        config = self._deployment.config
        self._urls = self._deploy(config.path, config.environment)
        if self._options.dry_run:
            return "a dry run: not deployed"
        self._note(EarlierBuilds.deployed)
        return f"live at {', '.join(self._urls) or 'its routes'}"

    def _deploy(self, config: Path, environment: str | None) -> list[str]:
        if self._options.dry_run:
            return self._wrangler.deploy(config, environment, self._message(), dry_run=True)
        self._note(EarlierBuilds.begun)
        return deploy_live(self._wrangler, config, environment, self._message())

    def _message(self) -> str:
        """Return what `versions` shows of a version."""
        return f"build {self._build_id}"

    def _upload(self) -> str:
        self._note(EarlierBuilds.begun)
        return self._gradual.upload(self._message())

    def _roll_out(self) -> str:
        said = self._gradual.roll_out()
        self._note(EarlierBuilds.deployed)
        return said

    @cached_property
    def _gradual(self) -> Gradual:
        config, options = self._deployment.config, self._options
        workers = [WorkerConfig(config.name, config.path, config.environment)]
        if self._python_project is None:
            built = self._site_build().server_config
            workers.insert(0, WorkerConfig(WranglerConfig.read(built).name, built, None))
        return Gradual(
            self._wrangler,
            workers,
            self._check_versions,
            options.steps,
            options.step_seconds,
            lambda text: self._output.line(f"  {text}", "dim"),
        )

    def _note(self, change: Callable[[EarlierBuilds], EarlierBuilds]) -> None:
        folder = self._deployment.assets_directory
        change(EarlierBuilds.read(folder)).write(folder)

    def _check(self) -> str:
        return self._check_versions({}, begun=1)

    def _check_versions(self, headers: Mapping[str, str], begun: int) -> str:
        folder = self._deployment.assets_directory
        return SiteCheck(self._url(), folder, self._build_id, self._options.sample, self._quiet).run(headers, begun)

    def _url(self) -> str:
        domain = next(iter(self._deployment.config.domains), None)
        urls = self._gradual.urls if self._options.gradual else self._urls
        url = self._options.url or (f"https://{domain}" if domain else next(iter(urls), None))
        if url is None:
            raise UserError("the Worker's URL is not known; name it with --url, or skip the check with --no-check")
        return url.rstrip("/")

    def _show(self, result: StepResult) -> None:
        text = Text.assemble(
            (f"{result.state:<8} ", _STYLES[result.state]), result.name, f": {result.said}" if result.said else ""
        )
        if result.seconds:
            text.append(f" ({result.seconds:.1f} s)", style="dim")
        if not self._output.as_json:
            self._output.console.print(text)


def _silent(output: Output) -> Output:
    from rich.console import Console  # noqa: PLC0415 - only for programs

    return Output(console=Console(quiet=True), progress_console=output.progress_console)


def _rows(results: list[StepResult]) -> list[dict[str, object]]:
    return [result.to_document() for result in results]
