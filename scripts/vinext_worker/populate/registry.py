"""Finding a populator by its name.

A package adds one by an entry point, whose object takes a `Destination`:

    [project.entry-points."vinext_worker.populators"]
    redis = "my_package.populator:RedisPopulator"
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, TypeAlias, cast

from vinext_worker.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from vinext_worker.populate.populator import Destination, Populator

    Factory: TypeAlias = Callable[[Destination], Populator]

ENTRY_POINTS = "vinext_worker.populators"
# Imported when chosen: the local one brings a runtime with it.
_OWN = {
    "kv": "vinext_worker.populate.kv:KVPopulator",
    "worker": "vinext_worker.populate.worker:WorkerPopulator",
    "local": "vinext_worker.populate.local:LocalPopulator",
}


def populator_names() -> list[str]:
    """The names that `find_populator` takes."""
    return [*_OWN, *sorted(point.name for point in entry_points(group=ENTRY_POINTS) if point.name not in _OWN)]


def find_populator(name: str) -> Factory:
    """The populator of a name; raises UserError where there is none, or the package that has it does not import."""
    if name in _OWN:
        module, _, attribute = _OWN[name].partition(":")
        return cast("Factory", getattr(import_module(module), attribute))
    for point in entry_points(group=ENTRY_POINTS, name=name):
        try:
            return cast("Factory", point.load())
        except (ImportError, AttributeError) as error:
            raise UserError(
                f"the populator {name!r} ({point.value}) does not import: {error}; mend or remove its package"
            ) from error
    raise UserError(f"no populator is called {name!r}, known are {', '.join(populator_names())}; install the package that has it")
