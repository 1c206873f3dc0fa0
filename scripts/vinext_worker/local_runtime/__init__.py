"""The embedded local runtime: the Worker's code, unchanged, in the real workerd, from npm packages alone.

`wrangler dev` downloads the runtime's own Pyodide at the first start. This runs the same Pyodide release from npm inside workerd
instead (`worker.mjs`), with miniflare's key-value store, assets and service bindings (`host.mjs`). The rules of the top level,
which only production enforces, are checked when the code is imported (`host.py`).
"""

from vinext_worker.local_runtime.control import Control, Fault, KvNamespace
from vinext_worker.local_runtime.logs import LogLine, RequestLine
from vinext_worker.local_runtime.options import RuntimeOptions
from vinext_worker.local_runtime.runtime import LocalRuntime
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
]
