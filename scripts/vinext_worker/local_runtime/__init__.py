"""The embedded local runtime: it runs the Worker's code, unchanged, in the real workerd, from npm packages alone.

`wrangler dev` downloads workerd's own Pyodide at the first start. The local runtime runs the same Pyodide release from npm inside
workerd instead (`worker.mjs`), with miniflare's key-value store, assets and service bindings (`host.mjs`). When it imports the
code, it checks the rules for the top level, which otherwise only production enforces (`host.py`).
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
