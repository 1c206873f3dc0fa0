"""Forbids randomness while modules are imported; mounted in Pyodide as the package `_cloudflare` of the Workers runtime.

The heap after the imports is kept as a snapshot, so every isolate would draw the same numbers, and production refuses the upload.
Some packages need a random number anyway, for example for a hash seed. The SDK lets them through: it patches their import with
the functions here, which it knows as `_cloudflare.allow_entropy` and `_cloudflare.import_patch_manager`.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
from array import array
from contextlib import contextmanager, nullcontext
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__path__: list[str] = []  # a package without files, whose submodules are the two names below
sys.modules[f"{__name__}.allow_entropy"] = sys.modules[f"{__name__}.import_patch_manager"] = sys.modules[__name__]

_RANDOM_NAMES = [name for name in dir(random) if not name.startswith("_") and not name[0].isupper()]


class _State:
    in_top_level = False
    exceptions = array("b", [0])  # its byte is read from JavaScript
    undo: Callable[[], None]


_exec_patches: dict[str, Callable[[ModuleType], AbstractContextManager[None]]] = {}
_create_patches: dict[str, Callable[[ModuleSpec], AbstractContextManager[None]]] = {}
_after_top_level: dict[str, list[Callable[[ModuleType], None]]] = {}


def begin_top_level() -> None:
    """Make every source of randomness raise from now on."""
    urandom, seed = os.urandom, random.Random.seed
    names = tempfile._RandomNameSequence  # type: ignore[attr-defined]
    functions = {name: value for name in _RANDOM_NAMES if callable(value := getattr(random, name))}

    def seed_with_a_value(self: random.Random, a: Any = None, version: int = 2) -> None:
        if a is None:
            _check("random.Random()")
        seed(self, a, version)

    def undo() -> None:
        os.urandom = random._urandom = urandom  # type: ignore[attr-defined]
        random.Random.seed = seed  # type: ignore[method-assign]
        tempfile._RandomNameSequence = names  # type: ignore[attr-defined]
        for name, function in functions.items():
            setattr(random, name, function)

    # `secrets` and `SystemRandom` use the name under which `random` imported it.
    os.urandom = random._urandom = _guard("os.urandom", urandom)  # type: ignore[attr-defined]
    random.Random.seed = seed_with_a_value  # type: ignore[method-assign]
    tempfile._RandomNameSequence = _CountedNames  # type: ignore[attr-defined]
    for name, function in functions.items():
        setattr(random, name, _guard(f"random.{name}", function))
    sys.meta_path.insert(0, _PatchFinder)
    _State.in_top_level = True
    _State.undo = undo


def end_top_level() -> None:
    """Allow randomness again, and seed `random` anew, as the Workers runtime does before the first request."""
    _State.in_top_level = False
    sys.meta_path.remove(_PatchFinder)
    _State.undo()
    random.seed()
    for name, handlers in _after_top_level.items():
        for handler in handlers if name in sys.modules else ():
            handler(sys.modules[name])


def address_of_exceptions() -> int:
    """Return where in the heap the number of the contexts is that allow randomness."""
    return _State.exceptions.buffer_info()[0]


class _CountedNames:
    """The names of temporary files at module level, where none can be random."""

    def __init__(self) -> None:
        self._count = 0

    def __iter__(self) -> _CountedNames:
        return self

    def __next__(self) -> str:
        self._count += 1
        return f"{self._count:08}"


def _guard(name: str, function: Any) -> Any:
    def guarded(*arguments: Any, **named: Any) -> Any:
        # `from random import choice` keeps the guard forever, so the guard must work while requests are served.
        _check(name)
        return function(*arguments, **named)

    return guarded


def _check(name: str) -> None:
    if _State.in_top_level and not _State.exceptions[0]:
        raise RuntimeError(
            f"{name} is not allowed at module level: every isolate would draw the same numbers; call it in a request"
        )


@contextmanager
def allow_bad_entropy_calls(_count: int) -> Iterator[None]:
    """Allow randomness within the context. The Workers runtime counts the calls; this does not."""
    _State.exceptions[0] += 1
    try:
        yield
    finally:
        _State.exceptions[0] -= 1


def register_exec_patch(name: str, patch: Any = None) -> Any:
    """Run the module `name` in the context `patch(module)`; without a patch, return a decorator."""
    return _register(_exec_patches, name, patch)


def register_create_patch(name: str, patch: Any = None) -> Any:
    """Create the module `name` in the context `patch(spec)`; without a patch, return a decorator."""
    return _register(_create_patches, name, patch)


def _register(patches: dict[str, Any], name: str, patch: Any) -> Any:
    if patch is None:
        return partial(_register, patches, name)
    patches[name] = patch
    return patch


def register_before_first_request(name: str, handler: Any = None) -> Any:
    """Call `handler(module)` after the imports if they include the module `name`; without a handler, return a decorator."""
    if handler is None:
        return partial(register_before_first_request, name)
    _after_top_level.setdefault(name, []).append(handler)
    return handler


register_after_snapshot = register_before_first_request


def block_calls(_module: ModuleType, *, allowlist: tuple[str, ...] = ()) -> None:
    """Do nothing: a package's own random number generator is not watched here."""


@register_exec_patch("multiprocessing.process")  # type: ignore[untyped-decorator, unused-ignore]
@contextmanager
def _process_key(_module: ModuleType) -> Iterator[None]:
    """Let the module draw its key: there are no processes that could use it."""
    with allow_bad_entropy_calls(1):
        yield


class _PatchFinder:
    """Finds modules that have patches, before the ordinary finders do."""

    @classmethod
    def find_spec(cls, name: str, _path: object, _target: object = None) -> ModuleSpec | None:
        if name not in _exec_patches and name not in _create_patches:
            return None
        sys.meta_path.remove(cls)
        try:
            spec = find_spec(name)
        finally:
            sys.meta_path.insert(0, cls)
        if spec is not None and spec.loader is not None:
            spec.loader = _PatchLoader(spec.loader)  # type: ignore[assignment]
        return spec


class _PatchLoader:
    """Creates and runs a module in the contexts of its patches."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        with _create_patches.get(spec.name, nullcontext)(spec):
            module: ModuleType | None = self._loader.create_module(spec)
            return module

    def exec_module(self, module: ModuleType) -> None:
        with _exec_patches.get(module.__name__, nullcontext)(module):
            self._loader.exec_module(module)
