"""`wrangler dev`, which runs the Workers in place of the local runtime."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from vinext_worker.cloudflare.wrangler_config import parse_configuration
from vinext_worker.sites.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vinext_worker.project import Project

# What the build notes about itself, and what wrangler takes from no environment.
_OF_THE_FILE = frozenset(
    {"configPath", "userConfigPath", "topLevelName", "definedEnvironments", "targetEnvironment", "dev", "env"}
)


def run_wrangler(
    project: Project, configurations: Sequence[Path], environment: str | None, port: int, arguments: Sequence[str]
) -> NoReturn:
    """Replace this process with `wrangler dev`, which runs all Workers and serves the one of the first configuration.

    At the first start wrangler downloads Pyodide, so it needs the internet.
    """
    tools = project.tools
    front, *built = configurations
    if environment:
        built = [in_environment(path, environment) for path in built]
    command = [
        tools.node,
        tools.wrangler,
        "dev",
        *(word for path in (front, *built) for word in ("-c", path)),
        *(("--env", environment) if environment else ()),
        "--assets",
        project.dev_assets,
        "--port",
        port,
        "--persist-to",
        project.local / "wrangler",
        *arguments,
    ]
    sys.stdout.flush()
    os.execv(tools.node, [str(word) for word in command])  # noqa: S606 - so that Ctrl-C and exit codes are wrangler's own


def in_environment(configuration: Path, environment: str) -> Path:
    """Write the configuration of a built Worker as one that has the environment it was built for; return the file, beside it.

    wrangler applies one `--env` to all Workers that it runs. It would give a Worker without that environment another name, by
    which the Worker in front does not find it.
    """
    built = parse_configuration(configuration)
    own = {key: value for key, value in built.items() if key not in _OF_THE_FILE}
    file = configuration.with_name(f"{configuration.stem}.dev.json")
    write_atomically(file, json.dumps({**built, "env": {environment: own}}, indent=1).encode())
    return file
