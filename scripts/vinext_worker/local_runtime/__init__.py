"""The embedded local runtime: it runs the Worker's code, unchanged, in the real workerd, from npm packages alone.

`wrangler dev` downloads workerd's own Pyodide at the first start. The local runtime runs the same Pyodide release from npm inside
workerd instead (`worker.mjs`), with miniflare's key-value store, assets and service bindings (`host.mjs`).

As in production, the code is imported once, in a global scope, and kept as a snapshot of the heap, from which every isolate
starts (`uploader.mjs`, `upload.mjs`). So what an upload would refuse is refused here, and `references.py` says where it is.
A request makes the calls that it makes in production, and costs as much (`worker.mjs`).
"""

from vinext_worker.local_runtime.control import Control, Fault, KvNamespace
from vinext_worker.local_runtime.logs import LogLine, RequestLine
from vinext_worker.local_runtime.options import RuntimeOptions
from vinext_worker.local_runtime.runtime import LocalRuntime, require_free
from vinext_worker.local_runtime.services import BuildService, ScriptService, Service

__all__ = [
    "BuildService",
    "Control",
    "Fault",
    "KvNamespace",
    "LocalRuntime",
    "LogLine",
    "RequestLine",
    "RuntimeOptions",
    "ScriptService",
    "Service",
    "require_free",
]
