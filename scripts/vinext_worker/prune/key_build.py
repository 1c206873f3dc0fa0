from __future__ import annotations

import re

# app:<build>:/path:html, pages:v2:<build>:__hash:…, app-fallback-shell:v1:<build>:/[slug]:html (see cache.keys). A build of
# schema v1 that is called v2 cannot be told from none of schema v2, and counts as none.
_KEY = re.compile(r"(?:(?:app|pages)(?::v2|(?!:v2:/|:v2:__hash:))|app-fallback-shell:v1):(?P<build>[^/]+?):(?=/|__hash:)")


def key_build(key: str) -> str | None:
    """The build that a cache key names; None where it names none, such as one of the data cache."""
    found = _KEY.match(key)
    return found["build"] if found else None
