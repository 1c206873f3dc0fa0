"""The cache handler of a site's own: what makes one, and what is said where it cannot be used."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.no_op import NoOpCacheHandler

from cache.own_handler import HandlerName, get_cache_handler, made_handler, set_cache_handler
from core.errors import CacheHandlerError
from vinext.testing import HandlerSubject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cache.handler import CacheHandler
    from cache.own_handler import HandlerContext


class Made(NoOpCacheHandler):
    def __init__(self, context: HandlerContext) -> None:
        self.context = context


class Broken:
    def __init__(self, context: HandlerContext) -> None:
        raise KeyError(context.env)


class Lacking:
    """It has no methods."""

    def __init__(self, context: HandlerContext) -> None: ...


def function(context: HandlerContext) -> CacheHandler:
    return Made(context)


def nothing(_: HandlerContext) -> None: ...


@pytest.fixture(autouse=True)
def _module(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module: Any = ModuleType("own_cache")
    module.Made, module.Broken, module.inner = Made, Broken, Made
    monkeypatch.setitem(sys.modules, "own_cache", module)
    yield
    set_cache_handler(None)


def made(handler: Any, *, is_shared: bool = True) -> Any:
    contexts: list[HandlerContext] = []

    def keep(context: HandlerContext) -> NoOpCacheHandler:
        contexts.append(context)
        return NoOpCacheHandler()

    HandlerSubject(keep, env="the bindings", prefix="shop")
    return made_handler(handler, contexts[0], is_shared=is_shared)


@pytest.mark.parametrize("factory", [Made, function, HandlerName("own_cache", "Made")], ids=["class", "function", "name"])
def test_a_class_or_function_makes_the_handler_of_a_site(factory: Any) -> None:
    set_cache_handler(factory)
    assert get_cache_handler() is factory
    handler = made(factory)
    assert (handler.context.env, handler.context.prefix) == ("the bindings", "shop")


def test_a_handler_itself_is_for_one_site() -> None:
    handler = NoOpCacheHandler()
    assert made(handler, is_shared=False) is handler
    with pytest.raises(CacheHandlerError, match="NoOpCacheHandler cannot keep the sites of VINEXT_TENANTS apart"):
        made(handler)


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (Broken, "the cache handler Broken raised KeyError: 'the bindings'"),
        (Lacking, "allowed: a CacheHandler; this one has no get, set, revalidate_tag"),
        (nothing, "the cache handler nothing is None"),
        (HandlerName("nowhere", "Made"), "the cache handler nowhere:Made cannot be imported: ModuleNotFoundError"),
        (HandlerName("own_cache", "Mode"), "the cache handler own_cache:Mode cannot be imported: AttributeError"),
        (HandlerName("own_cache", "Broken"), "the cache handler own_cache:Broken raised KeyError"),
    ],
    ids=lambda item: str(item)[:40] if isinstance(item, HandlerName) else getattr(item, "__name__", None),
)
def test_one_that_cannot_be_used_is_named(factory: Any, said: str) -> None:
    with pytest.raises(CacheHandlerError) as raised:
        made(factory)
    assert said in str(raised.value)
