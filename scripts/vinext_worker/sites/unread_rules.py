"""The rules of a build whose adapter does not write them down: vinext's own cache, an older adapter, vinext before 1.0.

Such rules are not read, only noticed: where the app may have one, it may touch every path.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from seed.rules import Rule
from vinext_worker.cloudflare.wrangler_config import parse_configuration
from vinext_worker.sites.site_build import NO_VINEXT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vinext_worker.sites.site_build import SiteBuild

_MIDDLEWARE_NAMES = ("proxy", "middleware")
_EXTENSIONS = frozenset({".ts", ".tsx", ".mts", ".js", ".jsx", ".mjs"})
_BESIDE = frozenset({".d", ".test", ".spec"})  # types and tests of the middleware, which lie beside it
_CONFIG_NAMES = ("next.config.ts", "next.config.mts", "next.config.js", "next.config.mjs", "next.config.cjs")
_CONFIG_RULES = re.compile(r"\b(redirects|rewrites|headers|i18n)\b")
_VITE_NAMES = tuple(f"vite.config.{extension}" for extension in ("ts", "mts", "cts", "js", "mjs", "cjs"))
_VITE_RULES = re.compile(r"\b(nextConfig)\b")
_WRANGLER_NAMES = ("wrangler.jsonc", "wrangler.json", "wrangler.toml")
# Not every Worker entry: that of an app on vinext 0.x sets the app's cache up.
_ENTRY_RULES = re.compile(r"\b(new Response|Response\.(?:error|json|redirect)|headers\.(?:append|delete|set))\b")


def unread_rules(build: SiteBuild) -> tuple[Rule, ...]:
    """Return a rule for each file of an app that may have one; a Python site has none."""
    names = () if build.vinext_version == NO_VINEXT else _names(build.root)
    return tuple(Rule("/", is_prefix=True, name=name) for name in names)


def _names(root: Path) -> Iterator[str]:
    for folder in (root, root / "src"):
        for name in _MIDDLEWARE_NAMES:
            # The extensions of pages may have several parts, as in `proxy.page.ts`.
            for file in sorted(folder.glob(f"{name}.*")):
                if file.suffix in _EXTENSIONS and _BESIDE.isdisjoint(file.suffixes):
                    yield f"{file.relative_to(root)}, whose matcher the build does not tell"
    for names, rules in ((_CONFIG_NAMES, _CONFIG_RULES), (_VITE_NAMES, _VITE_RULES), (_entries(root), _ENTRY_RULES)):
        for name in names:
            file = root / name
            if file.is_file() and (word := rules.search(file.read_text(encoding="utf-8", errors="replace"))):
                yield f"{word[1]} of {name}, which the build does not tell"


def _entries(root: Path) -> tuple[str, ...]:
    """Return what the app's wrangler configurations name as the Worker's entry, in whatever environment."""
    tables = [parse_configuration(root / name) for name in _WRANGLER_NAMES if (root / name).is_file()]
    environments = [table["env"] for table in tables if isinstance(table.get("env"), dict)]
    tables += [table for named in environments for table in named.values() if isinstance(table, dict)]
    return tuple(sorted({main for table in tables if isinstance(main := table.get("main"), str)}))
