from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from seed.build import Build

# `normalize_path` leaves the delimiters encoded, and encodes the percent sign of what would look like one.
_LITERAL_PERCENT = re.compile(r"%(?!(?:25)*(?:2f|23|3f|5c))", re.IGNORECASE)
_UNQUOTED = "/%:@!$&'()*+,;=~-._[]"


def page_url(path: str, build: Build) -> str:
    """The URL path of a page, from its path as in the index (one of `cache.keys.normalize_path`)."""
    encoded = quote(_LITERAL_PERCENT.sub("%25", path), safe=_UNQUOTED).replace("[", "%5B").replace("]", "%5D")
    if build.trailing_slash and encoded != "/" and "." not in encoded.rpartition("/")[2] and path != "/404":
        encoded += "/"
    if encoded == "/" and build.base_path and not build.trailing_slash:
        return build.base_path
    return build.base_path + encoded
