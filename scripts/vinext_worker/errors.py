"""The errors that the commands raise.

- VinextWorkerError (`core.errors`: the base of all errors of this project)
    - UserError: the user can fix the cause; `main` prints it as one line
        - ConfigurationError: a configuration file is missing or wrong
        - ToolError: a program that a command needs is missing or failed
        - RemoteError: a server refused, failed or did not answer
        - RuntimeStartError: the local runtime did not start
            - ImportFailedError: the Worker's code did not import
"""

from __future__ import annotations

from core.errors import VinextWorkerError


def reason_of(error: BaseException) -> str:
    """Return why something has ended, for a message."""
    return "it was interrupted" if isinstance(error, KeyboardInterrupt) else str(error)


class UserError(VinextWorkerError):
    """An error whose cause the user can fix; the message says what is wrong, where, and what to do."""


class ConfigurationError(UserError):
    """A configuration file is missing or unreadable, or has a value that is not allowed."""


class ToolError(UserError):
    """A program that a command needs is missing, too old, or failed."""


class RemoteError(UserError):
    """A server refused, failed or did not answer; the message contains no secret."""


class RuntimeStartError(UserError):
    """The local runtime did not start."""


class ImportFailedError(RuntimeStartError):
    """The Worker's main module did not import, or broke a rule for the top level; the message holds the traceback."""
