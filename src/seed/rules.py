"""The rules of an app before its page cache: middleware, redirects, rewrites and headers of next.config, an own Worker entry.

Only the app can apply them. So for a path that one of them may touch, the app's request stage is asked before the cache; the
page handler answers alone where the app has no such stage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

STAGES_VERSION = 1
"""The version of the exchange with the app's stages that the Worker speaks (`pages.stages`)."""


@dataclass(frozen=True)
class Rule:
    """A rule that may touch the page at `path`; with `is_prefix`, every page whose path begins with it.

    `path` is one of `normalize_path`, in lower case, because patterns of next.config are compared without regard to case.
    `name` says which rule it is.
    """

    path: str
    is_prefix: bool
    name: str

    def may_touch(self, path: str) -> bool:
        """Return whether the rule may touch a path in lower case."""
        return path.startswith(self.path) if self.is_prefix else path == self.path

    def to_document(self) -> dict[str, object]:
        return {"path": self.path, "prefix": self.is_prefix, "name": self.name}

    @classmethod
    def from_document(cls, document: Any) -> Rule:
        """Read a rule; one that cannot be read may touch every path."""
        match document:
            case {"path": str(path), "prefix": bool(is_prefix), "name": str(name)} if path.startswith("/"):
                return cls(path, is_prefix, name)
        return cls("/", is_prefix=True, name="a rule that cannot be read")


def touching_rule(rules: Iterable[Rule], path: str) -> Rule | None:
    """Return a rule that may touch a page, None if no rule does; `path` is one of `normalize_path`."""
    lower = path.lower()
    return next((rule for rule in rules if rule.may_touch(lower)), None)
