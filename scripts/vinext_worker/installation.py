"""What the command carries with it: in its wheel beside this module, in a checkout of this repository at its place there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_CARRIED = Path(__file__).with_name("artifacts")
_CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Installation:
    """The files that the commands install elsewhere; nothing is written to where they are."""

    npm_tools: Path
    """The folder of the package.json and package-lock.json of the npm tools, and of the parser of `init` in node_modules."""
    packages: Path
    """The folder of the library's wheel and of the adapter's tarball; in a checkout they are built when they are needed."""
    checkout: Path | None = None
    """The checkout that the command runs from, None if it was installed from its wheel."""

    @classmethod
    def find(cls) -> Installation:
        """Return the installation that this module is part of."""
        if _CARRIED.is_dir():
            return cls(_CARRIED / "npm", _CARRIED)
        return cls(_CHECKOUT, _CHECKOUT / "dist", _CHECKOUT)

    def library(self) -> Path:
        """Return the Worker library's wheel; in a checkout it is built from the sources as they are now."""
        if self.checkout is None:
            return next(self.packages.glob("vinext_worker-*.whl"))
        from build_packages.wheels import current_library  # noqa: PLC0415 - it is there in a checkout alone

        return current_library(self.packages)

    def adapter(self) -> Path:
        """Return the adapter's tarball; in a checkout it is built from the sources as they are now."""
        if self.checkout is None:
            return next(self.packages.glob("vinext-worker-adapter-*.tgz"))
        from build_packages.adapter import build_adapter  # noqa: PLC0415 - likewise

        return build_adapter(self.packages)
