"""What the apps fetch: values that a test changes, kept apart for each side that asks."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


BUILT = "built"


class DataServer:
    """Answers `/<side>/<key>` with `{"value": …}`: what the apps show where they are built, until something else is put."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    @contextmanager
    def started(self) -> Iterator[DataServer]:
        values = self._values

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps({"value": values.get(self.path, BUILT)}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = Thread(target=server.serve_forever, daemon=True, name="differential-data")
            thread.start()
            self._port = server.server_port
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()

    def url(self, side: str) -> str:
        """Where an app of this side asks."""
        return f"http://127.0.0.1:{self._port}/{side}"

    def put(self, side: str, key: str, value: str) -> None:
        self._values[f"/{side}/{key}"] = value
