"""The ways to JavaScript objects that a snapshot cannot contain: runs inside Pyodide, when the upload has found some."""

from __future__ import annotations

import gc
import sys
from collections import deque
from contextlib import suppress
from types import CellType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from pyodide.ffi import JsProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_TEXT = 60

_SEQUENCES = (list, tuple, deque, set, frozenset)

# The garbage collector may leave these alone even where they hold something.
_UNTRACKED = (tuple, dict)


def describe(lost: Any, code: str) -> str:
    """Return a line for each object in the JavaScript array `lost`: where it is kept, and what to do."""
    ways = _ways({proxy.js_id for proxy in lost}, code)
    # A method holds its object, too, which has no way of its own.
    named = [proxy for proxy in lost if proxy.js_id in ways] or list(lost)
    return "\n".join(_line(proxy, ways.get(proxy.js_id, "something at module level")) for proxy in named)


def _line(proxy: Any, way: str) -> str:
    return f"{way} holds a JavaScript object ({_text(proxy)}); make it in the first request"


def _text(proxy: Any) -> str:
    text = " ".join(str(proxy).split())
    return text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "…"


def _ways(wanted: set[int], code: str) -> dict[int, str]:
    """Return the shortest way to each object, by its ID. The project's modules come first, because others import from them."""
    ours = sorted(sys.modules.items(), key=lambda item: not (getattr(item[1], "__file__", None) or "").startswith(f"{code}/"))
    queue: deque[tuple[Any, str]] = deque((module, _name(module, name)) for name, module in ours)
    seen = {id(module) for module, _ in queue} | {id(queue), id(wanted), id(globals())}
    ways: dict[int, str] = {}
    while queue and len(ways) < len(wanted):
        holder, way = queue.popleft()
        for item, step in _inside(holder):
            if id(item) in seen:
                continue
            seen.add(id(item))
            if isinstance(item, JsProxy):
                if item.js_id in wanted:
                    ways.setdefault(item.js_id, way + step)
            elif gc.is_tracked(item) or isinstance(item, _UNTRACKED):
                queue.append((item, way + step))
    return ways


def _name(module: Any, name: str) -> str:
    return f"{getattr(module, '__file__', None) or name}: "


def _inside(holder: Any) -> Iterator[tuple[Any, str]]:
    """Yield each object that another one refers to, and how a reader of the code would name it."""
    if isinstance(holder, ModuleType):
        yield from ((value, name) for name, value in list(vars(holder).items()))
    elif isinstance(holder, dict):
        yield from ((value, f"[{key!r}]") for key, value in list(holder.items()))
    elif isinstance(holder, _SEQUENCES):
        yield from ((value, f"[{index}]") for index, value in enumerate(list(holder)))
    elif isinstance(holder, FunctionType):
        yield from _inside_function(holder)
    elif isinstance(holder, CellType):
        yield from ((value, "") for value in gc.get_referents(holder))
    else:
        yield from _attributes(holder)
    yield from ((item, f" -> {type(item).__name__}") for item in gc.get_referents(holder))


def _inside_function(function: FunctionType) -> Iterator[tuple[Any, str]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield cell, f" -> the variable {name} that it uses"
    for value in [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]:
        yield value, " -> a default argument"


def _attributes(holder: Any) -> Iterator[tuple[Any, str]]:
    slots = [name for base in type(holder).__mro__ for name in _slots(base)]
    for name in [*slots, *(name for name in getattr(holder, "__dict__", ()) if isinstance(name, str))]:
        with suppress(AttributeError):
            yield object.__getattribute__(holder, name), f".{name}"


def _slots(base: type) -> list[str]:
    slots = base.__dict__.get("__slots__", ())
    return [slots] if isinstance(slots, str) else list(slots)
