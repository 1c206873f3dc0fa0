"""The Python side of the local runtime: it runs inside Pyodide, before and around the project's code.

It stands in for the Python code of the Workers runtime: the import path, the rules for the top level, the call of the entrypoint.
"""

from __future__ import annotations

import builtins
import sys
import traceback
from importlib import import_module
from inspect import isawaitable
from site import addsitedir
from types import (
    BuiltinFunctionType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    ModuleType,
    NoneType,
    WrapperDescriptorType,
)
from typing import Any

import _cloudflare  # `entropy.py`, mounted under the name that the SDK knows
from pyodide.ffi import JsDoubleProxy, JsProxy


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
    sys.path.append(code)
    addsitedir(vendored)  # `.pth` files of vendored packages are processed (flag python_process_pth_files)


def import_main(name: str, code: str, vendored: str, check: bool) -> None:  # noqa: FBT001 - called from JavaScript
    """Import the main module as the Workers runtime does for its snapshot, and check the rules for the top level."""
    try:
        with _cloudflare.top_level():
            _State.main = import_module(name)
        _State.sdk = import_module("workers")
        if check:
            check_globals(code, vendored)
    except BaseException as error:
        _State.error = error
        raise


def describe_import_error() -> str:
    """Return the traceback of the failed import, without the frames of the import machinery."""
    error = _State.error
    if isinstance(error, TopLevelError):
        return str(error)
    text = "".join(traceback.format_exception(error))
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


async def handle(request: Any, env: Any, context: Any) -> Any:
    """Answer a request with a new `Default(ctx, env)`. The request is unwrapped from an RPC value, and the answer wrapped."""
    sdk = _State.sdk
    result = _State.main.Default(context, env).fetch(sdk.python_from_rpc(request))
    return sdk.python_to_rpc(await result if isawaitable(result) else result)


class TopLevelError(Exception):
    """The code does something at module level that the Workers runtime allows only in a request."""


def check_globals(code: str, vendored: str) -> None:
    """Raise TopLevelError if a global of the project's modules holds a JavaScript object, which a snapshot cannot contain."""
    own = _project_modules(code, vendored)
    seen = {id(module) for module in sys.modules.values()} | {id(vars(builtins))}
    plain = set(_PLAIN)
    for name, path in own.items():
        for key, value in list(vars(sys.modules[name]).items()):
            way = None if type(value) in plain else _way_to_js_object(value, own, seen, plain)
            if way is not None:
                message = f"{path}: the global '{key}{way}' holds a JavaScript object; make it in the first request"
                raise TopLevelError(message)


def _project_modules(code: str, vendored: str) -> dict[str, str]:
    """Return module name to file, for the modules that belong neither to the runtime nor to vendored packages."""
    files = {name: getattr(module, "__file__", None) or "" for name, module in list(sys.modules.items())}
    return {name: file for name, file in files.items() if file.startswith(f"{code}/") and not file.startswith(f"{vendored}/")}


# The types of most values in a module. None of them leads to a JavaScript object. Subclasses do not count.
_PLAIN: frozenset[type] = frozenset(
    {
        *(bool, bytes, float, int, str, NoneType, ModuleType, BuiltinFunctionType, FunctionType),
        *(GetSetDescriptorType, MemberDescriptorType, WrapperDescriptorType),
    }
)

_SEQUENCES = (list, tuple, set, frozenset)


def _way_to_js_object(value: Any, own: dict[str, str], seen: set[int], plain: set[type]) -> str | None:
    """Return the path from a value to the first JavaScript object in it, such as `[0].name`; None if there is none.

    Types whose values lead to no JavaScript object are added to `plain`, so that their other values are skipped. This saves most
    of the time.
    """
    if id(value) in seen:
        return None
    if isinstance(value, JsProxy):
        # Classes and functions of the global scope are found again by name. Everything else is lost with the snapshot.
        is_class = not isinstance(value, JsDoubleProxy) and value.typeof == "function"
        return None if is_class else ""
    seen.add(id(value))
    inside: list[tuple[Any, Any]] = []
    step = "[{!r}]"
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, _SEQUENCES):
        inside = list(enumerate(value))
    elif getattr(value if isinstance(value, type) else type(value), "__module__", None) in own:
        inside, step = list(getattr(value, "__dict__", {}).items()), ".{}"
    elif not isinstance(value, type):
        plain.add(type(value))
    for key, item in inside:
        way = None if type(item) in plain else _way_to_js_object(item, own, seen, plain)
        if way is not None:
            return step.format(key) + way
    return None
