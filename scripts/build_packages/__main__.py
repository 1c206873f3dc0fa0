from __future__ import annotations

import sys
from pathlib import Path

from build_packages.adapter import AdapterError, build_adapter
from build_packages.one_name import RewriteError
from build_packages.wheels import ROOT, build_command, build_library


def main(arguments: list[str]) -> int:
    """Build every package into a folder, `dist` if none is named, and print their paths."""
    output = Path(arguments[0]) if arguments else ROOT / "dist"
    try:
        library, adapter = build_library(output), build_adapter(output)
        packages = [library, build_command(output, library, adapter), adapter]
    except (RewriteError, AdapterError) as error:
        sys.stderr.write(f"build-packages: {error}\n")
        return 1
    sys.stdout.write("".join(f"{package}\n" for package in packages))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
