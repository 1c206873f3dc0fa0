from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import TYPE_CHECKING, Any, Self

import httpx2 as httpx

from vinext_worker.errors import ImportFailedError, RuntimeStartError
from vinext_worker.local_runtime.control import Control
from vinext_worker.local_runtime.logs import LogLine, RequestLine, parse_log, readable
from vinext_worker.local_runtime.options import COVERAGE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vinext_worker.local_runtime.control import Fault, KvNamespace
    from vinext_worker.local_runtime.options import RuntimeOptions

_HOST = Path(__file__).with_name("host.mjs")
_START_SECONDS = 120
_STOP_SECONDS = 10

OnLog = Callable[[LogLine | RequestLine], None]


class LocalRuntime:
    """A workerd that runs the Worker and its services. As a context manager it starts and stops them."""

    def __init__(self, options: RuntimeOptions, on_log: OnLog | None = None) -> None:
        self.options = options
        self.logs: list[LogLine] = []
        """The Worker's log so far."""
        self.requests: list[RequestLine] = []
        """The requests so far, if RuntimeOptions.log_requests is set."""
        self.urls: tuple[str, ...] = ()
        """The address of each isolate, which also serves the assets, as `run_worker_first` says."""
        self.direct_urls: tuple[str, ...] = ()
        """The address of each isolate with nothing in front of it: no assets and no request log."""
        self.service_urls: Mapping[str, str] = {}
        """Binding to the address of its service."""
        self._on_log = on_log
        self._token = secrets.token_urlsafe(32)
        self._process: subprocess.Popen[str] | None = None
        self._last_words = ""
        self._events: Queue[dict[str, Any]] = Queue()
        self._controls: tuple[Control, ...] = ()

    @property
    def url(self) -> str:
        """The address of the first isolate."""
        return self.urls[0]

    @property
    def direct_url(self) -> str:
        """The address of the first isolate with nothing in front of it."""
        return self.direct_urls[0]

    def start(self) -> Self:
        """Start everything, and return once Python has imported the Worker's code.

        Raises RuntimeStartError if the port is in use or workerd does not start, and ImportFailedError with the traceback if the
        code does not import.
        """
        require_free(self.options.host, self.options.port)
        tools = self.options.tools
        wire = self.options.to_wire(self._token)
        self._process = subprocess.Popen(
            [tools.node, _HOST, tools.node_modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            # Ctrl-C is for this process. The host ends when its stdin is closed, and workerd ends with it.
            start_new_session=True,
            # Node.js keeps compiled code there, because miniflare is large.
            env={**os.environ, "NODE_COMPILE_CACHE": str(tools.cache / "node")},
        )
        self._reader = Thread(target=self._read, args=[self._process], daemon=True, name="vinext-runtime")
        self._reader.start()
        try:
            self._command("start", wire)
        except BaseException:
            self.stop()
            raise
        return self

    def reload(self, options: RuntimeOptions | None = None) -> RuntimeOptions:
        """Read the sources again, by default with the same options, and serve them; return the options.

        `url` stays if RuntimeOptions.log_requests is set, and whoever asks meanwhile waits. The other addresses change.

        Raises ImportFailedError with the traceback if the new sources do not import. The old ones then go on serving.
        """
        options = options or self.options
        self._write_lines()
        self._command("reload", options.to_wire(self._token))
        self.options = options
        return options

    @property
    def host_pid(self) -> int:
        """The process whose child is workerd, for measurements."""
        assert self._process is not None  # noqa: S101 - asked for while it runs
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the host process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def last_words(self) -> str:
        """The last output of the host process if it ended unexpectedly, else an empty string."""
        return self._last_words

    def stop(self) -> None:
        """Stop everything; do nothing if nothing runs."""
        process, self._process = self._process, None
        if process is not None:
            self._write_lines()
        for control in self._controls:
            control.close()
        self._controls = ()
        if process is None:
            return
        assert process.stdin is not None  # noqa: S101 - it was opened with PIPE
        process.stdin.close()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.returncode != 0:
            # The host was killed, so workerd may still run. Both are in the host's own process group.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        self._reader.join()
        assert process.stdout is not None  # noqa: S101 - it was opened with PIPE
        process.stdout.close()

    def _write_lines(self) -> None:
        """Write the lines that ran, where they are counted; an isolate that does not answer any more has none."""
        if COVERAGE_FOLDER not in os.environ:
            return
        folder = Path(os.environ[COVERAGE_FOLDER])
        folder.mkdir(parents=True, exist_ok=True)
        for control in self._controls:
            with suppress(httpx.HTTPError):
                (folder / f"{secrets.token_hex(8)}.json").write_text(json.dumps(control.ask("lines")))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def control(self, isolate: int = 0) -> Control:
        """Return the control of an isolate."""
        return self._controls[isolate]

    def kv(self, binding: str = "VINEXT_CACHE") -> KvNamespace:
        """Return the namespace behind a binding, which the isolates share."""
        return self.control().kv(binding)

    def fail(self, binding: str, method: str, fault: Fault = "throw") -> None:
        """Make a binding's method fail in every isolate, until `heal`; needs RuntimeOptions.faults."""
        for control in self._controls:
            control.fail(binding, method, fault)

    def heal(self) -> None:
        """Make every binding work again."""
        for control in self._controls:
            control.heal()

    def wait_for_log(self, text: str, seconds: float = 120) -> LogLine:
        """Wait for a log line that contains the text, and return the first; raise TimeoutError."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for line in list(self.logs):
                if text in line.message:
                    return line
            time.sleep(0.02)
        raise TimeoutError(f"nothing with {text!r} was logged within {seconds} s")

    def _command(self, command: str, wire: dict[str, Any]) -> None:
        process = self._process
        assert process is not None  # noqa: S101 - `start` has set it
        assert process.stdin is not None  # noqa: S101 - it was opened with PIPE
        process.stdin.write(json.dumps({"command": command, "config": wire}) + "\n")
        process.stdin.flush()
        try:
            event = self._events.get(timeout=_START_SECONDS)
        except Empty:
            raise RuntimeStartError(f"the local runtime did not start within {_START_SECONDS} s") from None
        if event["event"] != "ready":
            error = ImportFailedError if event["kind"] == "import" else RuntimeStartError
            raise error(readable(event["message"]))
        for control in self._controls:
            control.close()
        self.urls = tuple(event["urls"])
        self.direct_urls = tuple(event["directUrls"])
        self.service_urls = event["serviceUrls"]
        self._controls = tuple(Control(url, self._token) for url in event["controlUrls"])

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None  # noqa: S101 - it was opened with PIPE
        rest: list[str] = []
        for text in process.stdout:
            if not text.startswith('{"event":'):
                rest.append(text)
                continue
            event = json.loads(text)
            if event["event"] == "log":
                self._log(event["level"], event["message"])
            else:
                self._events.put(event)
        message = "".join(rest).strip() or f"it ended with status {process.wait()}"
        self._last_words = message
        self._events.put({"event": "failed", "kind": "runtime", "message": f"the local runtime ended: {message}"})

    def _log(self, level: str, message: str) -> None:
        line = parse_log(level, message)
        if line is None:
            return
        if isinstance(line, RequestLine):
            self.requests.append(line)
        else:
            self.logs.append(line)
        if self._on_log is not None:
            self._on_log(line)


def require_free(host: str, port: int) -> None:
    """Raise RuntimeStartError if the port is in use; workerd would only say that it did not start."""
    if port == 0:
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise RuntimeStartError(
                f"port {port} on {host} cannot be used ({error.strerror}); stop what uses it, or choose another with --port"
            ) from error
