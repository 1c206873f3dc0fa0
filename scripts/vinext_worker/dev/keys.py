"""Keys that somebody presses at the terminal while a command runs."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def pressed_keys() -> Iterator[Callable[[], str] | None]:
    """Give a function that returns the keys since its last call, None without a terminal. Ctrl-C stays what it is."""
    if not _has_terminal():
        yield None
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)

    def pressed() -> str:
        ready, _, _ = select.select([terminal], [], [], 0)
        return os.read(terminal, 100).decode("utf-8", "replace") if ready else ""

    tty.setcbreak(terminal, termios.TCSANOW)
    try:
        yield pressed
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)


def _has_terminal() -> bool:
    """Return whether somebody at a terminal types for this process: one in the background must not touch the terminal."""
    try:
        return sys.stdin.isatty() and os.getpgrp() == os.tcgetpgrp(sys.stdin.fileno())
    except (OSError, ValueError):
        return False
