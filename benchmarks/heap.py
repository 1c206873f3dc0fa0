"""A Worker whose Python heap can be seen: WebAssembly's memory, which grows and never shrinks."""

from __future__ import annotations

import urllib.request
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from benchmarks.contender import with_a_door
from vinext_worker.local_runtime import LocalRuntime

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from vinext_worker.project import Project

MIB = 1024 * 1024

_TIMEOUT_SECONDS = 120

Store = Literal["vinext", "framed", "memory"]
"""KV in one of its layouts with memory in front, or memory alone."""

PAGES = """
const LINE = "<p>a paragraph of a page</p>";
let sent = 0;

/** A page of `/KIND/BYTES/…`: `kept` for a day, `dynamic` not at all; `accented` has no ASCII, `binary` is no text. */
export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    const [, kind, size] = pathname.split("/");
    const cache = kind === "dynamic" ? "no-store" : "s-maxage=86400";
    const headers = { "Content-Type": "text/html; charset=utf-8", "Cache-Control": cache };
    const begin = `<!DOCTYPE html><title>${sent++}</title>`;
    const text = kind === "accented" ? "<p>\\u{1F4F0} un r\\u00e9sum\\u00e9</p>" : LINE;
    if (kind === "binary") {
      const bytes = new Uint8Array(Number(size));
      for (let at = 0; at < bytes.length; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
      return new Response(bytes, { headers: { ...headers, "Content-Type": "application/octet-stream" } });
    }
    const bytes = new TextEncoder().encode(begin + text.repeat(Math.ceil(Number(size) / text.length)));
    return new Response(bytes.subarray(0, Number(size)), { headers });
  },
};
"""
"""The page handler."""

# The Worker, and a path that tells the size of its heap.
_ENTRY = '''"""The Worker, and a path that tells the size of its heap."""

import gc

import js
from edge.app import Application, Default  # noqa: F401

answer = Application.answer


async def answer_or_measure(application, request):
    if not request.url.endswith("/__heap"):
        return await answer(application, request)
    import pyodide_js

    gc.collect()
    return js.Response.new(str(pyodide_js._module.HEAP8.length))


Application.answer = answer_or_measure
'''


class MeasuredWorker:
    """A Worker that runs."""

    def __init__(self, runtime: LocalRuntime) -> None:
        self.runtime = runtime
        self.url = runtime.direct_url

    def heap_mib(self) -> float:
        """The size of the heap."""
        with urllib.request.urlopen(f"{self.url}/__heap", timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310 - our own
            return int(response.read()) / MIB


@contextmanager
def measured_worker(
    project: Project, folder: Path, store: Store, variables: Mapping[str, str] | None = None
) -> Iterator[MeasuredWorker]:
    """Start the Worker in front of PAGES; its code is copied to `folder`."""
    options = with_a_door(project, folder, _ENTRY, PAGES)
    layout = {} if store == "memory" else {"VINEXT_KV_LAYOUT": store}
    options = replace(
        options,
        variables={**options.variables, **layout, **(variables or {})},
        without=frozenset({"VINEXT_CACHE"}) if store == "memory" else frozenset(),
    )
    with LocalRuntime(options) as runtime:
        yield MeasuredWorker(runtime)
