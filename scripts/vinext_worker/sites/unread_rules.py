"""The rules of a build whose adapter does not write them down: vinext's own cache, an older adapter, vinext before 1.0.

Such rules are not read, only noticed: where the app may have one, it may touch every path.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from seed.rules import Rule
from vinext_worker.sites.site_build import NO_VINEXT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vinext_worker.sites.site_build import SiteBuild

_MIDDLEWARE_NAMES = ("proxy", "middleware")
_EXTENSIONS = ("ts", "tsx", "mts", "js", "jsx", "mjs")
_CONFIG_NAMES = ("next.config.ts", "next.config.mts", "next.config.js", "next.config.mjs", "next.config.cjs")
_CONFIG_RULES = re.compile(r"\b(redirects|rewrites|headers|i18n)\b")


def unread_rules(build: SiteBuild) -> tuple[Rule, ...]:
    """Return a rule for each file of an app that may have one; a Python site has none."""
    names = () if build.vinext_version == NO_VINEXT else _names(build.root)
    return tuple(Rule("/", is_prefix=True, name=name) for name in names)


def _names(root: Path) -> Iterator[str]:
    for folder in (root, root / "src"):
        for name in _MIDDLEWARE_NAMES:
            for extension in _EXTENSIONS:
                file = folder / f"{name}.{extension}"
                if file.is_file():
                    yield f"{file.relative_to(root)}, whose matcher the build does not tell"
    for name in _CONFIG_NAMES:
        file = root / name
        if file.is_file() and (word := _CONFIG_RULES.search(file.read_text(encoding="utf-8", errors="replace"))):
            yield f"{word[1]} of {name}, which the build does not tell"
