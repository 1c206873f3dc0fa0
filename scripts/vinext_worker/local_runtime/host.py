"""The Python side of the local runtime: it runs inside Pyodide, before and around the project's code.

It stands in for the Python code of the Workers runtime: the import path, the rules for the top level, the call of the entrypoint.
"""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module
from inspect import isawaitable
from site import addsitedir
from typing import Any

import _cloudflare  # `entropy.py`, mounted under the name that the SDK knows
from pyodide.code import relaxed_call


class _State:
    """The state of an isolate: the main module and the SDK, or the error of their import."""

    main: Any
    sdk: Any
    error: BaseException | None = None


def prepare_import_path(code: str, vendored: str) -> None:
    """Order `sys.path` as the Workers runtime does: standard library, vendored packages, site-packages, uploaded code."""
    sys.path[:] = [path for path in sys.path if path not in {"", code, vendored}]
    first = next(index for index, path in enumerate(sys.path) if path.endswith("site-packages"))
    sys.path.insert(first, vendored)
    sys.path += [code, f"/session{sys.path[first + 1]}"]
    os.environ.pop("PYTHONINSPECT", None)  # which Pyodide sets, and the Workers runtime does not
    addsitedir(vendored)  # `.pth` files of vendored packages are processed (flag python_process_pth_files)


def use_bytecode(folder: str | None = None) -> None:
    """Let imports find bytecode in a folder and write it there; without one, do as the Workers runtime does."""
    sys.pycache_prefix = folder
    sys.dont_write_bytecode = folder is None


def import_main(name: str) -> None:
    """Import the main module as the Workers runtime does for its snapshot."""
    try:
        _cloudflare.begin_top_level()
        _State.main = import_module(name)
        _State.sdk = import_module("workers")
    except BaseException as error:
        _State.error = error
        raise


def begin_requests() -> None:
    """Leave the top level, before the first request of an isolate."""
    sys.path[:] = [path for path in sys.path if path]  # Pyodide's loader has added the working directory
    _cloudflare.end_top_level()


def describe_import_error() -> str:
    """Return the traceback of the failed import, without the frames of the import machinery."""
    text = "".join(traceback.format_exception(_State.error))
    own = ('File "host.py"', "_cloudflare.py", 'File "<frozen importlib', 'importlib/__init__.py"')
    lines, skip = [], False
    for line in text.splitlines():
        if line.startswith('  File "'):
            skip = any(mark in line for mark in own)
        elif not line.startswith("    "):
            skip = False
        if not skip:
            lines.append(line)
    return "\n".join(lines)


def describe_missing_classes(bindings: dict[str, str]) -> str:
    """Return what is wrong if the main module lacks a class of a Durable Object, else an empty string.

    `bindings` are the names of the classes, and for each a binding. The Workers runtime takes the classes that the module
    exports: the names in `__all__`, if it has that.
    """
    main = _State.main
    exported = getattr(main, "__all__", [name for name in vars(main) if not name.startswith("_")])
    for name, binding in bindings.items():
        found = getattr(main, name, None) if name in exported else None
        if not isinstance(found, type) or not issubclass(found, _State.sdk.DurableObject):
            return (
                f"the main module {main.__name__} has no Durable Object {name}, which the configuration binds as {binding}; "
                f"define or import a class {name}(workers.DurableObject) there, and name it in __all__ if there is one"
            )
    return ""


async def call_method(relaxed: bool, instance: Any, name: str, *arguments: Any) -> Any:  # noqa: FBT001 - called from JavaScript
    """Call a method of the project's instance. The arguments are unwrapped from RPC values, and the answer is wrapped.

    The bound method is new for each request, so `relaxed_call` looks its signature up each time, as in production.
    """
    sdk = _State.sdk
    method = getattr(instance, name)
    unwrapped = [sdk.python_from_rpc(argument) for argument in arguments]
    result = relaxed_call(method, *unwrapped) if relaxed else method(*unwrapped)
    if isawaitable(result):
        return sdk.python_to_rpc(await result)
    return sdk.python_to_rpc(result)
