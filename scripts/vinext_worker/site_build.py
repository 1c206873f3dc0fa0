from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from rich.text import Text

from vinext_worker.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console

    from vinext_worker.site_project import SiteProject

_NO_SOURCES = frozenset({"node_modules", "next-env.d.ts"})
_UNWANTED_VARIABLES = frozenset({"NODE_ENV", "VINEXT_PRERENDER", "FORCE_COLOR"})
_SHOWN_LINES = 40


def install(site: SiteProject, node: Path, console: Console) -> None:
    """Install the site's npm packages, where they are missing or older than package.json or npm's lock file; raises UserError.

    Packages that something else than a lock file of npm's governs (another package manager, a workspace further up) are only
    looked for.
    """
    if site.lock is None:
        if site.installed_version() is not None:
            return
        if site.foreign_package_manager is not None:
            manager = site.foreign_package_manager
            raise UserError(f"{site.root} has no packages installed and uses {manager}; run `{manager} install` there first")
    elif _modified(site.root / "node_modules" / ".package-lock.json") > max(
        _modified(site.lock), _modified(site.root / "package.json")
    ):
        return
    command = ("install", "--no-package-lock") if site.lock is None else ("ci",)
    arguments = (*command, "--no-audit", "--no-fund", "--include=dev")
    _run_npm(arguments, site, node, console, what="installing the npm packages")
    if site.installed_version() is None:
        raise UserError(f"npm installed no vinext in {site.root}; run `npm install` there and look at what it says")


def build(site: SiteProject, node: Path, console: Console) -> None:
    """Build the site, where its output is older than its sources; raises UserError.

    The output keeps the fingerprint of the sources it was made from. It is written last, so that a build that was
    interrupted, or failed, is made again.
    """
    stamp = site.root / "dist" / ".vinext-worker-build"
    sources = fingerprint(site)
    if _read(stamp) == sources:
        return
    stamp.unlink(missing_ok=True)
    _run_npm(site.build_command(), site, node, console, what="building the site")
    if not stamp.parent.is_dir():
        raise UserError(f"the build of {site.root} left no folder dist; leave vinext's output where it is by default")
    stamp.write_text(sources)


def fingerprint(site: SiteProject) -> str:
    """Return a digest over the name, size and time of change of every source file, the command and the environment built for.

    Left out are node_modules (the lock file stands for it), the output, and folders whose names begin with a dot (tools keep
    their state there; `.env` files count).
    """
    # The Vite plugin of Cloudflare builds for one environment of the app's wrangler configuration.
    digest = hashlib.sha256("\0".join((*site.build_command(), os.environ.get("CLOUDFLARE_ENV", ""))).encode())
    for folder in (site.root, *site.linked_folders):
        output = site.root / "dist"
        for path, status in sorted(_source_files(folder, str(output))):
            digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _source_files(folder: Path | str, output: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as items:
        for item in items:
            if item.name in _NO_SOURCES or item.path == output:
                continue
            if item.is_dir(follow_symlinks=False):
                if not item.name.startswith("."):
                    yield from _source_files(item.path, output)
            elif item.is_file():  # a link to a folder is not followed, a broken one is no file
                yield item.path, item.stat()


def _run_npm(arguments: tuple[str, ...], site: SiteProject, node: Path, console: Console, *, what: str) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise UserError("npm was not found on PATH; install Node.js with npm (https://nodejs.org), then run this again")
    start = time.monotonic()
    with console.status(f"{what} of {site.root} …"):
        finished = subprocess.run(
            [npm, *arguments],
            cwd=site.root,
            env=_environment(node),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    if finished.returncode != 0:
        console.print(Text("\n".join(finished.stdout.rstrip().splitlines()[-_SHOWN_LINES:])))
        command = " ".join(("npm", *arguments))
        raise UserError(f"{what} failed in {site.root}; see the last lines of `{command}` above, mend that, then run this again")
    console.print(Text(f"{what}: {site.root}, {time.monotonic() - start:.0f} s"))


def _environment(node: Path) -> dict[str, str]:
    """Return the environment of npm and of the build: our Node.js first, and nothing that makes it another kind of build."""
    environment = {name: value for name, value in os.environ.items() if name not in _UNWANTED_VARIABLES}
    path = os.pathsep.join(part for part in (str(node.parent), environment.get("PATH")) if part)
    return environment | {"PATH": path, "NO_COLOR": "1", "CI": "1"}


def _modified(file: Path) -> int:
    """Return when a file was last changed, in nanoseconds; 0 where there is none.

    Npm writes node_modules/.package-lock.json when it has installed everything, so an interrupted installation is repeated.
    """
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def _read(stamp: Path) -> str | None:
    with suppress(OSError):
        return stamp.read_text()
    return None
