"""`wrangler deploy`, run with the pinned Node.js."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from vinext_worker.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vinext_worker.checkout import Checkout


@dataclass(frozen=True)
class Finished:
    """A program's exit status, and its last lines."""

    status: int
    output: str


class Runner(Protocol):
    """Runs programs; tests replace it."""

    def run(self, command: Sequence[str], folder: Path, variables: Mapping[str, str | None]) -> Finished:
        """Run a program in a folder until it ends. `variables` override this process's environment; None removes one."""


class ProgramRunner:
    """Runs programs, and passes on each line that they print."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line

    def run(self, command: Sequence[str], folder: Path, variables: Mapping[str, str | None]) -> Finished:
        environment = {name: value for name, value in os.environ.items() if name not in variables}
        environment |= {name: value for name, value in variables.items() if value is not None}
        lines: list[str] = []
        with subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        ) as process:
            assert process.stdout is not None  # noqa: S101 - it was opened with PIPE
            for line in process.stdout:
                lines.append(line.rstrip())
                self._on_line(line.rstrip())
        return Finished(process.returncode, "\n".join(lines[-40:]))


class Wrangler:
    """Deploys Workers, one at a time."""

    def __init__(self, checkout: Checkout, runner: Runner, *, dry_run: bool) -> None:
        self._checkout = checkout
        self._runner = runner
        self._dry_run = dry_run

    def deploy(self, config: Path, environment: str | None) -> list[str]:
        """Deploy the Worker of a configuration; return the URLs that wrangler names. Raises ToolError if it fails."""
        script = self._checkout.node_modules / "wrangler" / "bin" / "wrangler.js"
        command = [str(self._checkout.node), str(script), "deploy", "--config", str(config)]
        command += ["--env", environment] if environment else []
        with tempfile.TemporaryDirectory(prefix="vinext-deploy-") as folder:
            if self._dry_run:
                command += ["--dry-run", "--outdir", str(Path(folder) / "out")]
            log = Path(folder) / "wrangler.ndjson"
            # A configuration that a build wrote has no environments: it was built for one.
            variables = {"WRANGLER_OUTPUT_FILE_PATH": str(log), "CLOUDFLARE_ENV": None, "WRANGLER_SEND_METRICS": "false"}
            finished = self._runner.run(command, config.parent, variables)
            if finished.status != 0:
                last = next((line for line in reversed(finished.output.splitlines()) if line.strip()), "it printed nothing")
                raise ToolError(
                    f"`wrangler deploy` of {config} exited with {finished.status}: {last.strip()}; fix that, then deploy again"
                )
            return _targets(log)


def _targets(log: Path) -> list[str]:
    if not log.is_file():
        return []
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
    targets = [target for row in rows if row.get("type") == "deploy" for target in row.get("targets") or ()]
    return [target if "://" in target else f"https://{target}" for target in targets if isinstance(target, str)]
