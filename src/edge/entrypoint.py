"""The entrypoint of a Worker: builds the application once, hands requests to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from workers import WorkerEntrypoint

from edge.application import Application
from edge.background import enter_request
from edge.steps import begin_at_once

if TYPE_CHECKING:
    from collections.abc import Awaitable

_application: Application | None = None


class Default(WorkerEntrypoint):
    """Made anew for each request by the runtime, so what lasts is kept in the module."""

    def fetch(self, request: Any) -> Awaitable[Any]:
        global _application  # noqa: PLW0603 - the isolate's one application
        enter_request(self.ctx)
        if _application is None:
            _application = Application(self.env._env)  # noqa: SLF001 - the raw bindings
            if type(self) is Default and _application.is_own_code:
                _begin_requests_at_once()
        return _application.answer(request.js_object)


def _begin_requests_at_once() -> None:
    """What the runtime runs this request in, it will run the others in."""
    task = asyncio.current_task()
    coroutine = None if task is None else task.get_coro()
    code = getattr(coroutine, "cr_code", None)
    if code is not None:
        begin_at_once(code)
