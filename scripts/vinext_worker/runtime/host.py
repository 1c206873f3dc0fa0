"""The Python side of the embedded runtime: runs inside Pyodide, before and around the project's code.

Stands in for what the Workers runtime does in Python: the import path, the rules of the top level, the call of the entrypoint.
"""

from __future__ import annotations

import sys
import traceback
from importlib import import_module, invalidate_caches
from inspect import isawaitable
from site import addsitedir
from typing import Any

import _cloudflare  # `entropy.py`, mounted under the name that the SDK knows
from pyodide.ffi import JsDoubleProxy, JsProxy


class _State:
    """What one isolate keeps: the main module and the SDK, or why they did not import."""

    main: Any
    sdk: Any
    error: BaseException | None = None


def prepare_import_path(code: str, vendored: str) -> None:
    """Order `sys.path` as the runtime does: standard library, vendored packages, site-packages, then the uploaded code."""
    sys.path[:] = [path for path in sys.path if path not in {"", code, vendored}]
    first = next(index for index, path in enumerate(sys.path) if path.endswith("site-packages"))
    sys.path.insert(first, vendored)
    sys.path.append(code)
    invalidate_caches()
    addsitedir(vendored)  # `.pth` files of vendored packages are processed (flag python_process_pth_files)


def import_main(name: str, code: str, vendored: str, check: bool) -> None:  # noqa: FBT001 - called from JavaScript
    """Import the main module as the runtime does when it takes its snapshot, and check the rules of the top level."""
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
    """Answer one request with a new `Default(ctx, env)`; the request and the answer are wrapped and unwrapped as RPC values."""
    sdk = _State.sdk
    result = _State.main.Default(context, env).fetch(sdk.python_from_rpc(request))
    return sdk.python_to_rpc(await result if isawaitable(result) else result)


class TopLevelError(Exception):
    """The code does at module level what the runtime allows in a request only."""


def check_globals(code: str, vendored: str) -> None:
    """Raise TopLevelError where a global of the project's modules holds a JavaScript object; the snapshot could not keep it."""
    own = _project_modules(code, vendored)
    modules = {id(module) for module in sys.modules.values()}
    seen = set(modules)
    for name, path in own.items():
        for key, value in list(vars(sys.modules[name]).items()):
            where = _find_js_object(value, key, own, seen)
            if where:
                message = f"{path}: the global '{where}' holds a JavaScript object; make it in the first request"
                raise TopLevelError(message)


def _project_modules(code: str, vendored: str) -> dict[str, str]:
    """Module name to file, of the modules that are neither the runtime's nor vendored."""
    files = {name: getattr(module, "__file__", None) or "" for name, module in list(sys.modules.items())}
    return {name: file for name, file in files.items() if file.startswith(f"{code}/") and not file.startswith(f"{vendored}/")}


def _find_js_object(value: Any, where: str, own: dict[str, str], seen: set[int]) -> str | None:
    if id(value) in seen:
        return None
    if isinstance(value, JsProxy):
        # Classes and functions of the global scope are found again by name; everything else is lost with the snapshot.
        is_class = not isinstance(value, JsDoubleProxy) and value.typeof == "function"
        return None if is_class else where
    seen.add(id(value))
    inside: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        inside = [(f"{where}[{key!r}]", item) for key, item in value.items()]
    elif isinstance(value, list | tuple | set | frozenset):
        inside = [(f"{where}[{index}]", item) for index, item in enumerate(value)]
    elif getattr(value if isinstance(value, type) else type(value), "__module__", None) in own:
        inside = [(f"{where}.{key}", item) for key, item in getattr(value, "__dict__", {}).items()]
    return next((found for name, item in inside if (found := _find_js_object(item, name, own, seen))), None)
