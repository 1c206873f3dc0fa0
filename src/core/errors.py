"""The exceptions of `cache`, and the base of all that the Worker raises.

VinextWorkerError
└── CacheError
    ├── InvalidArgumentError   a caller passed a wrong type or value
    ├── CorruptValueError      a stored value cannot be read as a cache entry
    │   └── OtherKeyError      a stored value is the entry of another key
    ├── BrokenBodyError        a body that was being stored did not come to its end
    ├── ValueTooLargeError     an entry is larger than the store takes
    ├── CacheHandlerError      a cache handler of the site's own cannot be used
    └── InvalidationError      an invalidation could not be written to the store
"""

from __future__ import annotations

_SHOWN_CHARACTERS = 80


def described(error: BaseException) -> str:
    """Return an error as a line of the log has it: `Type: message`."""
    return f"{type(error).__name__}: {error}"


class VinextWorkerError(Exception):
    """Base of all that the Worker raises on purpose."""


class CacheError(VinextWorkerError):
    """Base of all that `cache` raises on purpose."""


class InvalidArgumentError(CacheError, ValueError):
    """A wrong argument to a public function; the message names the argument, its value and the allowed values."""

    def __init__(self, argument: str, value: object, allowed: str) -> None:
        self.argument = argument
        self.value = value
        self.allowed = allowed
        try:
            shown = repr(value)
        except RecursionError:
            shown = object.__repr__(value)
        if len(shown) > _SHOWN_CHARACTERS:
            shown = f"{shown[:_SHOWN_CHARACTERS]}…"
        super().__init__(f"{argument} is {shown} ({type(value).__name__}), allowed: {allowed}")


class CorruptValueError(CacheError):
    """A stored value that cannot be read as a cache entry; the message says which part is wrong."""


class OtherKeyError(CorruptValueError):
    """A value that was stored under another key than the one it was read from."""


class BrokenBodyError(CacheError):
    """A body that did not come to its end while it was being stored; the message says why."""


class ValueTooLargeError(CacheError):
    """An entry larger than the store takes."""

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes
        super().__init__(f"the entry has {size_bytes} bytes, the store takes {limit_bytes}")


class CacheHandlerError(CacheError):
    """A cache handler of the site's own that cannot be used; the message names it and says why."""


class InvalidationError(CacheError):
    """A failure to invalidate some tags, whose entries may still be served; call again to retry."""

    def __init__(self, tags: tuple[str, ...], reason: str) -> None:
        self.tags = tags
        super().__init__(f"could not invalidate {', '.join(map(repr, tags))}: {reason}; call again to retry")
