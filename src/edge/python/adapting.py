"""Packages that are adapted to a Worker as soon as they have been imported."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    Adapters = Mapping[str, Callable[[Any], None]]


def adapt_packages(adapters: Adapters) -> bool:
    """Adapt the modules that have been imported, and the others when they are. Return False if that has been done before."""
    if any(isinstance(finder, _Adapting) and finder.adapters is adapters for finder in sys.meta_path):
        return False
    sys.meta_path.insert(0, _Adapting(adapters))
    for name, adapt in adapters.items():
        if name in sys.modules:
            adapt(sys.modules[name])
    return True


class _Adapting:
    """Finds the modules as they are found anyway, and adapts each as soon as it has been imported."""

    def __init__(self, adapters: Adapters) -> None:
        self.adapters = adapters

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        adapt = self.adapters.get(name)
        spec = None if adapt is None else PathFinder.find_spec(name, path, target)
        if adapt is None or spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_adapt(module: ModuleType) -> None:
            execute(module)
            adapt(module)

        spec.loader.exec_module = execute_and_adapt  # type: ignore[method-assign]
        return spec
