"""The FastAPI app as a Worker of its own."""

import asgi
from apps import fastapi
from workers import WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await asgi.fetch(fastapi, request, self.env)
