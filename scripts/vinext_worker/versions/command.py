from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import click
from rich.text import Text

from vinext_worker.cloudflare.deployment import Deployment, configuration_options
from vinext_worker.errors import UserError, reason_of
from vinext_worker.terminal.interruption import end_as_by_ctrl_c
from vinext_worker.terminal.output import Output, json_option
from vinext_worker.versions.pair import Pair, open_versions, way_back

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vinext_worker.cloudflare.versions import Served, Versions

_COLUMNS = ("worker", "since", "visitors", "version", "what it is")


@click.command
@configuration_options
@json_option
def versions(*, config_path: Path | None, environment: str | None, as_json: bool) -> None:
    """Show which versions serve the visitors, and which did before.

    They are those of the Worker and of its page handler.

    \b
    Examples:
      vinext-worker versions
      vinext-worker versions --env staging --json
    """  # noqa: D301 - \b is click's
    deployment = Deployment.read(config_path, environment)
    output = Output(as_json)
    pair = Pair.of(deployment)
    found = open_versions(deployment)
    served, messages = _listed(found, pair.names)
    output.document(
        {
            "workers": [
                {
                    "name": worker,
                    "deployments": [
                        {
                            "createdOn": one.created_on,
                            "versions": [
                                {"id": version, "percentage": share, "message": messages[worker].get(version) or None}
                                for version, share in one.shares.items()
                            ],
                        }
                        for one in served[worker]
                    ],
                }
                for worker in pair.names
            ]
        }
    )
    rows = [
        (worker, one.created_on[:16].replace("T", " "), f"{share:g} %", version, messages[worker].get(version, ""))
        for worker in pair.names
        for one in served[worker]
        for version, share in one.shares.items()
    ]
    output.table(_COLUMNS, ([Text(cell) for cell in row] for row in rows))
    for worker in pair.names:
        if not served[worker]:
            output.line(f"{worker} has never been deployed", "yellow")


@click.command
@click.argument("version", required=False)
@configuration_options
@click.option("--dry-run", is_flag=True, help="Only show which versions would serve again.")
@json_option
def rollback(*, version: str | None, config_path: Path | None, environment: str | None, dry_run: bool, as_json: bool) -> None:
    """Let the versions from before serve all visitors again.

    They are those of the Worker and of its page handler. VERSION is one of the Worker in front, by default the last one that
    has served all visitors. The page handler goes back to the version of the same build. What is in Workers KV stays: each build
    has its own entries there.

    \b
    Examples:
      vinext-worker rollback --dry-run
      vinext-worker rollback
      vinext-worker rollback dc8dcd28-271b-4367-9840-6c244f84cb40 --env production
    """  # noqa: D301 - \b is click's
    end_as_by_ctrl_c()
    deployment = Deployment.read(config_path, environment)
    output = Output(as_json)
    pair = Pair.of(deployment)
    found = open_versions(deployment)
    backs = way_back(pair, *_listed(found, pair.names), version)
    done: list[str] = []
    for back in backs:
        if not dry_run:
            try:
                found.serve(back.worker, {back.then: 100}, "rollback")
            except (UserError, KeyboardInterrupt) as error:
                rest = f"already back: {', '.join(done)}; {back.worker} may be" if done else f"{back.worker} may be back already"
                again = " ".join(("vinext-worker rollback", *(one.then for one in backs if one.worker == pair.front)))
                raise UserError(f"{reason_of(error)}; {rest}; see `vinext-worker versions`, and run `{again}`") from error
            done.append(back.worker)
        would = "would serve" if dry_run else "serves"
        output.line(f"{back.worker}: {back.then} {would} all visitors in the place of {back.leaving}")
    if not backs:
        output.line("all visitors have these versions already")
    output.document({"dryRun": dry_run, "workers": [{"name": one.worker, "from": one.leaving, "to": one.then} for one in backs]})


def _listed(found: Versions, workers: Sequence[str]) -> tuple[dict[str, list[Served]], dict[str, dict[str, str]]]:
    """Return the deployments of Workers, and what was said of their versions."""
    with ThreadPoolExecutor(len(workers)) as pool:
        served = dict(zip(workers, pool.map(found.served, workers), strict=True))
        known = [worker for worker in workers if served[worker]]
        messages = dict(zip(known, pool.map(found.messages, known), strict=True))
    return served, {worker: messages.get(worker, {}) for worker in workers}
