"""Which page handler the Worker uses: by the setting, or by a call in the site's own code."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from cache.errors import VinextWorkerError
from cache.frozen import frozen

if TYPE_CHECKING:
    from pages.python_choice import AsgiChoice, FunctionChoice, OwnChoice

SETTING_FORMS = "service:NAME with the name of a service binding, asgi:module:app or module:function"


class PageHandlerError(VinextWorkerError):
    """The page handler cannot be used; the message names it and says what is wrong with it."""


@frozen
class ServiceChoice:
    """Another Worker, by the name of its binding."""

    name: str


PageChoice: TypeAlias = "ServiceChoice | AsgiChoice | FunctionChoice | OwnChoice"


@frozen
class HandlerName:
    """The setting `VINEXT_PAGE_HANDLER`, not yet looked up; `module` "" for a service."""

    kind: str
    module: str
    attribute: str

    @classmethod
    def parse(cls, text: str) -> HandlerName:
        """Read the setting; raises ValueError saying what is allowed."""
        kind, _, rest = text.partition(":")
        module, colon, attribute = rest.partition(":")
        if kind == "service" and rest and not colon:
            return cls("service", "", rest)
        if kind == "asgi" and _is_dotted(module) and _is_dotted(attribute):
            return cls("asgi", module, attribute)
        if kind not in {"service", "asgi"} and not colon and _is_dotted(kind) and _is_dotted(rest):
            return cls("function", kind, rest)
        raise ValueError(SETTING_FORMS)

    def __str__(self) -> str:
        if self.kind == "service":
            return f"service:{self.attribute}"
        return f"asgi:{self.module}:{self.attribute}" if self.kind == "asgi" else f"{self.module}:{self.attribute}"

    def load(self) -> PageChoice:
        """Import what is named; raises PageHandlerError, naming it."""
        if self.kind == "service":
            return ServiceChoice(self.attribute)
        from pages.python_choice import load_python  # noqa: PLC0415 - of no use to a service

        return load_python(self)


class _Chosen:
    choice: PageChoice | None = None


def choose_pages(choice: PageChoice | None) -> None:
    """Use a page handler, whatever the setting says; None gives the choice back to it."""
    _Chosen.choice = choice


def chosen_pages() -> PageChoice | None:
    """What was chosen in code, None where nothing was."""
    return _Chosen.choice


def _is_dotted(text: str) -> bool:
    return bool(text) and all(part.isidentifier() for part in text.split("."))
