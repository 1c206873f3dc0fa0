"""Large bodies on their way out, as streams of `Blob`s."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from js import Array, Blob

from edge.buffer import JsBuffer, body_to_js

if TYPE_CHECKING:
    from cache.body import Body


class BodyStreams:
    """Streams of bodies, each by way of a `Blob`, which is a copy.

    The copies lie about until JavaScript collects its garbage, and each is memory that the system has to clear first. So
    the `Blob` of a body that is sent again is kept, of at most `most_bytes` together: those that were sent last.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept: dict[JsBuffer, Any] = {}
        self._kept_bytes = 0

    def stream(self, body: Body) -> Any:
        """A `ReadableStream` that knows its length."""
        if not isinstance(body, JsBuffer):
            return _blob(body).stream()
        kept = self._kept.pop(body, None)
        if kept is not None:
            self._kept[body] = kept  # the last one now
            return kept.stream()
        made = _blob(body)
        if body.was_sent and body.size_bytes <= self._most_bytes:
            self._keep(body, made)
        body.was_sent = True
        return made.stream()

    def _keep(self, body: JsBuffer, blob: Any) -> None:
        self._kept[body] = blob
        self._kept_bytes += body.size_bytes
        while self._kept_bytes > self._most_bytes:
            oldest = next(iter(self._kept))
            del self._kept[oldest]
            self._kept_bytes -= oldest.size_bytes


def _blob(body: Body) -> Any:
    return Blob.new(Array.of(body_to_js(body)))
