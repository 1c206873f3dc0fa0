"""The adapter's tarball, as npm packs it: npm gives every file the same time, so the same files give the same bytes."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

from build_packages.wheels import ROOT, project

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / "adapters" / "vinext"


class AdapterError(Exception):
    """The adapter's package cannot be built."""


def build_adapter(output: Path) -> Path:
    """Pack the adapter into a folder and return the tarball. Raises AdapterError."""
    manifest, version = json.loads((FOLDER / "package.json").read_bytes()), project()["version"]
    if manifest["version"] != version:
        raise AdapterError(
            f"{FOLDER / 'package.json'} has version {manifest['version']}, and pyproject.toml has {version}; "
            "all packages have one version"
        )
    npm = shutil.which("npm")
    if npm is None:
        raise AdapterError("npm was not found on PATH; install Node.js with npm (https://nodejs.org), then run this again")
    output.mkdir(parents=True, exist_ok=True)
    command = [npm, "pack", "--silent", "--ignore-scripts", "--pack-destination", str(output.resolve())]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AdapterError(f"npm pack failed in {FOLDER}: {done.stderr.strip()}")
    return output / f"{manifest['name']}-{version}.tgz"
