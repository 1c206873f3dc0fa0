"""The benchmark's site as a Next.js app, which OpenNext makes a Worker of."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from vinext_worker.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from vinext_worker.project import Project

_SOURCES = Path(__file__).with_name("sites")
_SHOWN_LINES = 40
_ENVIRONMENT = {"CI": "1", "NEXT_TELEMETRY_DISABLED": "1", "NO_COLOR": "1", "WRANGLER_SEND_METRICS": "false"}


def build_opennext(project: Project, console: Console) -> Path:
    """Install and build the site where that is needed; return the configuration of the Worker that wrangler bundled.

    Raises UserError.
    """
    folder = project.local / "benchmarks" / "opennext"
    digest = hashlib.sha256()
    for root in (_SOURCES / "app", _SOURCES / "opennext"):
        for source in sorted(file for file in root.rglob("*") if file.is_file()):
            in_app = root.name == "app" or source.name == "measured.js"
            target = folder / ("app" if in_app else "") / source.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
            digest.update(f"{target}\0".encode() + source.read_bytes())
    config_file, stamp = folder / ".worker" / "wrangler.json", folder / ".worker" / "sources"
    if not stamp.is_file() or stamp.read_text() != digest.hexdigest():
        _npm(project, folder, console, "ci", "--no-audit", "--no-fund", "--include=dev")
        _npm(project, folder, console, "run", "build:worker")
        config = json.loads((folder / "wrangler.jsonc").read_bytes())
        config_file.write_text(json.dumps({**config, "main": "worker.js"}))
        stamp.write_text(digest.hexdigest())
    return config_file


def _npm(project: Project, folder: Path, console: Console, *arguments: str) -> None:
    command = ["npm", *arguments]
    path = os.pathsep.join((str(project.tools.node.parent), os.environ["PATH"]))
    with console.status(f"{' '.join(command)} in {folder} …"):
        environment = {**os.environ, **_ENVIRONMENT, "PATH": path}
        finished = subprocess.run(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
    if finished.returncode != 0:
        console.print("\n".join(finished.stdout.splitlines()[-_SHOWN_LINES:]), markup=False)
        raise UserError(f"`{' '.join(command)}` failed in {folder}; see its last lines above")
