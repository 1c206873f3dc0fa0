from __future__ import annotations

import errno
import io
import sys
from pathlib import Path

import click

from core.errors import VinextWorkerError
from vinext_worker.check.command import check
from vinext_worker.completion.command import completion
from vinext_worker.copy.command import copy
from vinext_worker.deploy.command import deploy
from vinext_worker.dev.command import dev
from vinext_worker.init.command import init
from vinext_worker.inspect.command import inspect
from vinext_worker.populate.command import populate
from vinext_worker.prerender.command import prerender
from vinext_worker.prune.command import prune
from vinext_worker.revalidate.command import revalidate
from vinext_worker.stats.command import stats
from vinext_worker.this_machine import ask_this_machine_directly
from vinext_worker.tpr.command import tpr
from vinext_worker.versions.command import rollback, versions
from vinext_worker.why.command import why


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vinext-worker")
def cli() -> None:
    """Serve pages from cache on Cloudflare's Python Workers, as Next.js does."""


for command in (
    init,
    dev,
    prerender,
    copy,
    populate,
    prune,
    tpr,
    deploy,
    versions,
    rollback,
    check,
    revalidate,
    why,
    inspect,
    stats,
    completion,
):
    cli.add_command(command)


_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})
_UNUSABLE = _FORBIDDEN | {errno.EROFS, errno.ENOSPC, errno.ENOTDIR, errno.EEXIST}
"""The faults of a file or folder that the project must be able to use."""


def main() -> None:
    """Run the command line: print an error as one line and exit with 1; exit with 2 for a wrong argument, with 130 for Ctrl-C.

    A command that says what Ctrl-C leaves, as `deploy` does, exits with 1.
    """
    ask_this_machine_directly()
    for stream in (sys.stdout, sys.stderr):
        # A terminal may have another encoding than UTF-8, and the name of a file may have none.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        Path.cwd()
    except OSError as error:
        click.echo(f"vinext-worker: the current folder is gone ({error.strerror}); change to another one", err=True)
        sys.exit(1)
    try:
        status = cli.main(prog_name="vinext-worker", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except VinextWorkerError as error:
        click.echo(f"vinext-worker: {error}", err=True)
        sys.exit(1)
    except OSError as error:
        if error.errno not in _UNUSABLE or error.filename is None:
            raise
        is_forbidden = error.errno in _FORBIDDEN
        fault = "cannot be read or written" if is_forbidden else "cannot be written"
        cure = "change its permissions" if is_forbidden else "make it writable, or free space"
        click.echo(f"vinext-worker: {error.filename} {fault} ({error.strerror}); {cure}", err=True)
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)
