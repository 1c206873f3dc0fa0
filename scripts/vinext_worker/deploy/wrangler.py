"""`wrangler deploy`, with the Node.js of the toolchain."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from vinext_worker.errors import ToolError

if TYPE_CHECKING:
    from vinext_worker.deploy.runner import Runner
    from vinext_worker.toolchain import Project


class Wrangler:
    """Deploys one Worker after the other."""

    def __init__(self, project: Project, runner: Runner, *, dry_run: bool) -> None:
        self._project = project
        self._runner = runner
        self._dry_run = dry_run

    def deploy(self, config: Path, environment: str | None) -> list[str]:
        """Deploy the Worker of a configuration; gives the URLs that wrangler names. Raises ToolError where it fails."""
        script = self._project.node_modules / "wrangler" / "bin" / "wrangler.js"
        command = [str(self._project.node), str(script), "deploy", "--config", str(config)]
        command += ["--env", environment] if environment else []
        with tempfile.TemporaryDirectory(prefix="vinext-deploy-") as folder:
            if self._dry_run:
                command += ["--dry-run", "--outdir", str(Path(folder) / "out")]
            log = Path(folder) / "wrangler.ndjson"
            # A configuration that a build wrote has no environments: the one that is asked for is in it already.
            variables = {"WRANGLER_OUTPUT_FILE_PATH": str(log), "CLOUDFLARE_ENV": None, "WRANGLER_SEND_METRICS": "false"}
            finished = self._runner.run(command, config.parent, variables)
            if finished.status != 0:
                last = next((line for line in reversed(finished.output.splitlines()) if line.strip()), "it said nothing")
                raise ToolError(
                    f"`wrangler deploy` of {config} ended with {finished.status}: {last.strip()}; mend that, then deploy again"
                )
            return _targets(log)


def _targets(log: Path) -> list[str]:
    if not log.is_file():
        return []
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
    targets = [target for row in rows if row.get("type") == "deploy" for target in row.get("targets") or ()]
    return [target if "://" in target else f"https://{target}" for target in targets if isinstance(target, str)]
