"""The arguments of a call as they stand in its key: those of JavaScript, and no two different calls alike."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from core.errors import InvalidArgumentError
from datacache.cached import call_arguments

if TYPE_CHECKING:
    from collections.abc import Callable


def search(query: str, filters: Any = None, sort: Any = None) -> None:
    del query, filters, sort


def posts(slug: Any, size: int = 10, *, limit: Any = None, after: Any = None) -> None:
    del slug, size, limit, after


def every(*names: Any, limit: Any = None) -> None:
    del names, limit


def of_names(first: Any, second: Any = 2, /, **others: Any) -> None:
    del first, second, others


def any_of_both(*names: Any, **others: Any) -> None:
    del names, others


def arguments(function: Callable[..., Any], *args: Any, **kwargs: Any) -> list[object]:
    return call_arguments(inspect.signature(function), function.__name__, args, kwargs)


ARGUMENTS: list[Any] = [
    pytest.param(arguments(search, "x"), ["x"], id="by position"),
    pytest.param(arguments(search, "x", None), ["x", None], id="as many as are given"),
    pytest.param(arguments(search, sort="price", query="x", filters=1), ["x", 1, "price"], id="by name"),
    pytest.param(arguments(search, "x", sort="price"), ["x", None, "price"], id="one left out before a given one"),
    pytest.param(arguments(search, "x", {"sort": "price"}), ["x", {"sort": "price"}], id="a mapping by position"),
    pytest.param(arguments(posts, "x", limit=3), ["x", 10, {"limit": 3}], id="those with a name alone come last"),
    pytest.param(arguments(posts, slug="x", size=5), ["x", 5], id="none with a name alone"),
    pytest.param(arguments(posts, "x", {"limit": 3}), ["x", {"limit": 3}], id="a mapping in the place of a number"),
    pytest.param(arguments(of_names, 1, first=3), [1, 2, {"first": 3}], id="a name that stands for a position, too"),
    pytest.param(arguments(every, 1), [1], id="any number"),
    pytest.param(arguments(every, 1, limit=3), [1, {"limit": 3}], id="any number, and a name"),
    pytest.param(arguments(every, 1, {"limit": 3}), [1, {"limit": 3}, {}], id="any number, a mapping the last"),
    pytest.param(arguments(any_of_both, {}), [{}, {}], id="anything, an empty mapping the last"),
    pytest.param(arguments(any_of_both, {"a": 1}, a=1), [{"a": 1}, {"a": 1}], id="anything, both"),
]


@pytest.mark.parametrize(("found", "wanted"), ARGUMENTS)
def test_arguments(found: list[object], wanted: list[object]) -> None:
    assert found == wanted


@pytest.mark.parametrize("function", [search, posts, every, of_names, any_of_both])
def test_different_calls_have_different_arguments(function: Callable[..., Any]) -> None:
    values: list[Any] = [1, {}, {"limit": 1}, {"sort": 1}, {"first": 1}]
    given = [args for first in values for args in [(first,), *((first, second) for second in values)]]
    named = [{}, *({name: value} for name in ("limit", "sort", "first", "after") for value in values)]
    seen: dict[str, dict[str, Any]] = {}
    signature = inspect.signature(function)
    for args in given:
        for kwargs in named:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError:
                continue
            bound.apply_defaults()
            same = seen.setdefault(repr(arguments(function, *args, **kwargs)), bound.arguments)
            assert same == bound.arguments


def test_a_default_that_json_cannot_carry_is_named_where_the_key_needs_it() -> None:
    def work(first: int, second: Any = object(), third: int = 0) -> None:  # noqa: B008 - the mistake
        del first, second, third

    assert arguments(work, 1) == [1]
    with pytest.raises(InvalidArgumentError, match="second of work"):
        arguments(work, 1, third=3)
