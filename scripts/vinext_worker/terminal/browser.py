"""The browser of whoever sits at the terminal."""

from __future__ import annotations

import os
import sys
import webbrowser

_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "WSL_DISTRO_NAME")


def opens_in_browser(url: str) -> bool:
    """Open a URL; return False where there is no browser with a window. One in the terminal would take the terminal."""
    if sys.platform.startswith("linux") and not any(map(os.environ.get, _DISPLAYS)):
        return False
    try:
        return webbrowser.open(url)
    except webbrowser.Error:
        return False
