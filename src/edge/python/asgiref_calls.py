"""asgiref's `sync_to_async` and `async_to_sync`, in place: a Worker has no other thread in which they could run code.

Flask calls asynchronous views by them. Django does so, too, by WSGI, and calls synchronous views and middleware by them by ASGI.
"""

from __future__ import annotations

import asyncio
import os
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from pyodide.ffi import can_run_sync, run_sync

from edge.python.adapting import adapt_packages

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping


def adapt_asgiref() -> None:
    """Adapt asgiref, now or when it is imported."""
    adapt_packages(_ADAPTED)


def _adapt(module: Any) -> None:
    call_elsewhere = module.AsyncToSync.__call__

    def wait(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not can_run_sync():
            return call_elsewhere(self, *args, **kwargs)
        context = copy_context()
        loop = asyncio.get_running_loop()
        try:
            return run_sync(asyncio.Task(_result(self.awaitable(*args, **kwargs)), loop=loop, context=context))
        finally:
            # What the code sets is seen by its caller, as it would be without the task.
            for variable, value in context.items():
                if variable.get(None) is not value:
                    variable.set(value)

    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        context = getattr(self, "context", None)
        return self.func(*args, **kwargs) if context is None else context.run(self.func, *args, **kwargs)

    module.AsyncToSync.__call__ = wait
    module.SyncToAsync.__call__ = call
    # Django refuses to use a database where a loop is running, and here one always is.
    os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


async def _result(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


_ADAPTED: Mapping[str, Callable[[Any], None]] = {"asgiref.sync": _adapt}
