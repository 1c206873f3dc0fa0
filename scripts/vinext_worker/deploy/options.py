from __future__ import annotations

from dataclasses import dataclass

import click

from vinext_worker.copy.earlier_builds import KEPT_BUILDS


@dataclass(frozen=True)
class DeployOptions:
    """The options of the command line."""

    dry_run: bool = False
    skip_build: bool = False
    populate_kv: bool = True
    tpr: bool = False
    check: bool = True
    sample: int = 100
    url: str | None = None
    verbose: bool = False
    gradual: bool = False
    steps: tuple[int, ...] = (10, 50)
    step_seconds: float = 60
    kept_builds: int = KEPT_BUILDS


def percentages(text: str) -> tuple[int, ...]:
    """Return the percentages of `--steps`; raise click.BadParameter if it is no list of numbers."""
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no list of percentages; write it as 10,50") from error
