"""The Starlette app as a Worker of its own."""

import asgi
from apps import starlette
from workers import WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await asgi.fetch(starlette, request, self.env)
