"""JavaScript functions made of others: a Worker may not compile JavaScript, and what stays there need not cross into Python."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from js import Array, Function

from edge.steps import settled

if TYPE_CHECKING:
    from collections.abc import Awaitable


def bind(function: Any, this: Any, *arguments: Any) -> Any:
    """`function.bind(this, ...arguments)`."""
    return Function.prototype.bind.call(function, this, *arguments)


def binder(function: Any, this: Any) -> Any:
    """`(...arguments) => function.bind(this, ...arguments)`."""
    return bind(Function.prototype.bind, function, this)


def results_of(*functions: Any) -> Any:
    """`functions.map(f => f())`: what they return stays in a JavaScript array, where promises are not made futures of."""
    return Array.from_(Array.of(*functions), call())


def result_of(function: Any) -> Awaitable[Any]:
    """What the promise gives that a bound function returns."""
    return settled(results_of(function)[0])


@cache
def call() -> Any:
    """`f => f()`."""
    return bind(Function.prototype.call, Function.prototype.call)
