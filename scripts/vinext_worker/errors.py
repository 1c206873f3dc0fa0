"""What the commands raise.

- VinextWorkerError (`cache.errors`: the base of all that this project raises)
    - UserError: the person can mend it; `main` prints it as one line
        - ConfigurationError: a configuration file is missing or wrong
        - ToolError: a tool of the toolchain is missing or failed
        - RemoteError: a server that a command talks to refused, failed or did not answer
        - RuntimeStartError: the local runtime did not start
            - ImportFailedError: the project's own code did not import
"""

from __future__ import annotations

from core.errors import VinextWorkerError


class UserError(VinextWorkerError):
    """Something the person who runs a command can mend; the message says what was wrong, where, and what to do."""


class ConfigurationError(UserError):
    """A configuration file is missing, unreadable, or has a value that is not allowed."""


class ToolError(UserError):
    """A program of the toolchain is missing, too old, or failed."""


class RemoteError(UserError):
    """A server that a command talks to refused, failed or did not answer; no secret is in the message."""


class RuntimeStartError(UserError):
    """The local runtime did not start."""


class ImportFailedError(RuntimeStartError):
    """The Worker's main module did not import, or broke a rule of the top level; the message holds the traceback."""
