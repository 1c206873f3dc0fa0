"""The entrypoint of a Worker: builds the application once, hands requests to it."""

from __future__ import annotations

from typing import Any

from workers import WorkerEntrypoint

from edge.application import Application
from edge.background import enter_request

_application: Application | None = None


class Default(WorkerEntrypoint):
    """Made anew for each request by the runtime, so what lasts is kept in the module."""

    async def fetch(self, request: Any) -> Any:
        global _application  # noqa: PLW0603 - the isolate's one application
        enter_request(self.ctx)
        if _application is None:
            _application = Application(self.env._env)  # noqa: SLF001 - the raw bindings
        return await _application.answer(request.js_object)
