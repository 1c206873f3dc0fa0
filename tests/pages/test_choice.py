from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from core.errors import InvalidArgumentError
from isr.settings import SettingError, read_settings
from pages.handler import FailedPages, PageError
from pages.selection import (
    AsgiChoice,
    FunctionChoice,
    HandlerName,
    OwnChoice,
    PageHandlerError,
    ServiceChoice,
    WorkerChoice,
    WsgiChoice,
    chosen_pages,
    use_asgi,
    use_function,
    use_pages,
    use_worker,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


async def app(scope: object, receive: object, send: object) -> None: ...


async def function(request: object) -> None: ...


class Holder:
    inner = staticmethod(function)


class Worker:
    def fetch(self, request: object) -> None: ...


def static_paths() -> list[str]:
    return ["/"]


@pytest.fixture
def module() -> Iterator[ModuleType]:
    made = ModuleType("some_site")
    made.app, made.function, made.text = app, function, "text"  # type: ignore[attr-defined]  # a module of the test
    made.Holder, made.static_paths = Holder, static_paths  # type: ignore[attr-defined]  # likewise
    sys.modules["some_site"] = made
    yield made
    del sys.modules["some_site"]
    use_pages(None)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("service:PAGES", HandlerName("service", "", "PAGES")),
        ("asgi:main:app", HandlerName("asgi", "main", "app")),
        ("asgi:a.b:c.d", HandlerName("asgi", "a.b", "c.d")),
        ("wsgi:main:app", HandlerName("wsgi", "main", "app")),
        ("main:handler", HandlerName("function", "main", "handler")),
    ],
)
def test_a_setting_is_read_and_written(text: str, name: HandlerName) -> None:
    assert HandlerName.parse(text) == name
    assert str(name) == text


@pytest.mark.parametrize(
    "text",
    ["", "service:", "service:A:B", "asgi:", "asgi:main", "asgi:main:", "asgi::app", "main", "main:", ":x", "a b:c", "x:y:z"],
)
def test_another_setting_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(SettingError, match=r"VINEXT_PAGE_HANDLER is .* allowed: service:NAME"):
        read_settings({"VINEXT_PAGE_HANDLER": text})


def test_names_are_looked_up(module: ModuleType) -> None:
    assert HandlerName.parse("service:A").load() == ServiceChoice("A")
    assert HandlerName.parse("asgi:some_site:app").load() == AsgiChoice(app, "asgi:some_site:app", static_paths)
    assert HandlerName.parse("wsgi:some_site:app").load() == WsgiChoice(app, "wsgi:some_site:app", static_paths)
    assert HandlerName.parse("some_site:function").load() == FunctionChoice(function, "some_site:function", static_paths)
    assert HandlerName.parse("some_site:Holder.inner").load() == FunctionChoice(function, "some_site:Holder.inner", static_paths)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("asgi:no_such_site:app", "asgi:no_such_site:app cannot be imported: ModuleNotFoundError"),
        ("some_site:missing", "some_site:missing does not exist: some_site has no missing"),
        ("asgi:some_site:text", "asgi:some_site:text is not callable: it is a str"),
        ("some_site:text", "some_site:text is not callable: it is a str"),
        ("some_site:app", "some_site:app does not take a request as its only argument"),
    ],
)
def test_what_cannot_be_used_is_named(module: ModuleType, text: str, message: str) -> None:
    with pytest.raises(PageHandlerError, match=message):
        HandlerName.parse(text).load()


def test_paths_that_are_no_function_are_named(module: ModuleType) -> None:
    module.static_paths = ["/"]  # type: ignore[attr-defined]  # a module of the test
    with pytest.raises(PageHandlerError, match="static_paths beside the page handler some_site:function is not callable"):
        HandlerName.parse("some_site:function").load()


def test_code_chooses_too(module: ModuleType) -> None:
    assert chosen_pages() is None
    use_asgi(app)
    assert isinstance(chosen_pages(), AsgiChoice)
    use_function(function, static_paths=static_paths)
    assert isinstance(chosen_pages(), FunctionChoice)
    use_worker(Worker, static_paths=static_paths)
    assert chosen_pages() == WorkerChoice(Worker, f"{__name__}:Worker", static_paths)
    own = FailedPages("always")
    use_pages(own)
    assert chosen_pages() == OwnChoice(own)


def test_code_that_chooses_wrongly_fails_at_once(module: ModuleType) -> None:
    with pytest.raises(PageHandlerError):
        use_asgi("app")  # type: ignore[arg-type]  # the mistake
    with pytest.raises(PageHandlerError):
        use_function(app)  # type: ignore[arg-type]  # the mistake
    with pytest.raises(PageHandlerError, match="a class with a method fetch"):
        use_worker(object)
    with pytest.raises(InvalidArgumentError, match="a PageHandler"):
        use_pages(object())  # type: ignore[arg-type]  # the mistake


def test_a_callable_whose_signature_is_unknown_is_taken(module: ModuleType) -> None:
    use_function(dict)
    assert isinstance(chosen_pages(), FunctionChoice)


async def test_a_handler_that_cannot_be_used_says_why_each_time() -> None:
    pages = FailedPages("not importable")
    for call in (pages.answer, pages.render):
        with pytest.raises(PageError, match="not importable"):
            await call(None)  # type: ignore[arg-type]  # it does not look
