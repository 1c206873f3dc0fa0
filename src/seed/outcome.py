"""What the command that pre-renders and the Worker that makes its pages say to each other."""

from __future__ import annotations

from urllib.parse import quote

PATHS_URL = "/__vinext/static-paths"
"""Asks for the list of paths."""
OUTCOME_HEADER = "x-vinext-prerender"
"""Percent-encoded JSON: what is kept with a page's body, else `skipped` or `error` with the reason."""
# What may stand in a path as it is (RFC 3986, 3.3), and a percent sign that encodes already.
_PATH_CHARACTERS = "/%:@!$&'()*+,;=~-._"


def url_path(path: str) -> str:
    """A path as a URL has it; what is percent-encoded already stays."""
    return quote(path, safe=_PATH_CHARACTERS)
