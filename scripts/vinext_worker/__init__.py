"""The commands of vinext-worker, and the local runtime that they start."""

import sys

if sys.platform == "win32":
    # Before anything is imported that Windows has not.
    sys.exit(
        "vinext-worker: it does not run on Windows itself; use WSL (https://learn.microsoft.com/windows/wsl), and run it there"
    )
