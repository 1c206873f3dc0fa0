"""wrangler, run with the pinned Node.js."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol

from vinext_worker.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import IO

    from vinext_worker.tools import Tools

_SECRETS = ("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ERROR = "[ERROR]"
# Of what is said of a version, Cloudflare takes 100 bytes.
_MESSAGE_CHARACTERS = 100
# Lines below an error that say nothing about it.
_NOT_A_REASON = ("If you think this is a bug", "🪵", "Logs were written")


@dataclass(frozen=True)
class Finished:
    """A program's exit status, its last lines, and all that it wrote to standard output."""

    status: int
    output: str
    answer: str = ""


class Runner(Protocol):
    """Runs programs; tests replace it."""

    def run(self, command: Sequence[str], folder: Path, variables: Mapping[str, str | None]) -> Finished:
        """Run a program in a folder until it ends. `variables` override this process's environment; None removes one."""


class ProgramRunner:
    """Runs programs, and passes on each line that they print, without the secrets of the environment."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line

    def run(self, command: Sequence[str], folder: Path, variables: Mapping[str, str | None]) -> Finished:
        environment = {name: value for name, value in os.environ.items() if name not in variables}
        environment |= {name: value for name, value in variables.items() if value is not None}
        lines: list[str] = []
        answer: list[str] = []

        # A secret of several lines, or with one that ends it, is not to be seen line by line either.
        secrets = [part for name in _SECRETS for part in environment.get(name, "").split()]

        def read(stream: IO[str], kept: list[str]) -> None:
            for text in stream:
                line = text
                for secret in secrets:
                    line = line.replace(secret, "***")
                kept.append(line)
                lines.append(line.rstrip())
                self._on_line(line.rstrip())

        with subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
        ) as process:
            assert process.stdout is not None  # noqa: S101 - it was opened with PIPE
            assert process.stderr is not None  # noqa: S101 - likewise
            errors = Thread(target=read, args=(process.stderr, []))
            errors.start()
            try:
                read(process.stdout, answer)
            except BaseException:
                # Ctrl-C reaches the program too, but nothing else does, and it is not to go on behind what follows now.
                process.terminate()
                process.wait()
                raise
            finally:
                errors.join()
        return Finished(process.returncode, "\n".join(lines[-60:]), "".join(answer))


class WranglerError(ToolError):
    """wrangler has failed; `reason` is its own error, and `code` Cloudflare's number in that, 0 if there is none."""

    def __init__(self, command: str, status: int, reason: str) -> None:
        self.reason = reason
        found = re.search(r"\[code: (\d+)\]", reason)
        self.code = int(found[1]) if found else 0
        super().__init__(f"`wrangler {command}` exited with {status}: {reason}")


class Wrangler:
    """Runs wrangler's commands from a folder, with the token or the login of this machine, for one account.

    Without an account, wrangler finds it: in a configuration, in the environment, or by the login.
    """

    def __init__(self, tools: Tools, runner: Runner, folder: Path, account: str | None = None) -> None:
        self._tools = tools
        self._runner = runner
        self._folder = folder
        self._account = account

    def of_account(self, account: str) -> Wrangler:
        """Return the same for an account."""
        return Wrangler(self._tools, self._runner, self._folder, account)

    def deploy(self, config: Path, environment: str | None, message: str, *, dry_run: bool) -> list[str]:
        """Deploy the Worker of a configuration; return the URLs that wrangler names. Raises WranglerError if it fails."""
        with tempfile.TemporaryDirectory(prefix="vinext-deploy-") as folder:
            dry = ["--dry-run", "--outdir", str(Path(folder) / "out")] if dry_run else []
            rows = self._rows(["deploy", *_of(config, environment), *_saying(message), *dry], config.parent)
        targets = [target for row in rows if row.get("type") == "deploy" for target in row.get("targets") or ()]
        return [target if "://" in target else f"https://{target}" for target in targets if isinstance(target, str)]

    def upload_version(self, config: Path, environment: str | None, message: str) -> Mapping[str, Any]:
        """Upload a version that serves nobody yet; return wrangler's row about it. Raises WranglerError if it fails."""
        rows = self._rows(["versions", "upload", *_of(config, environment), *_saying(message)], config.parent)
        return next(row for row in rows if row.get("type") == "version-upload")

    def ask(self, *arguments: str) -> Any:
        """Run a command that answers in JSON, and return that. Raises WranglerError if it fails."""
        answer = self.act(*arguments)
        try:
            return json.loads(answer)
        except ValueError as error:
            raise WranglerError(_name_of(arguments), 0, f"its answer is not JSON: {answer[:200]!r}") from error

    def act(self, *arguments: str) -> str:
        """Run a command that no configuration is to change, and return its standard output. Raises WranglerError if it fails."""
        with tempfile.TemporaryDirectory(prefix="vinext-wrangler-") as folder:
            # Otherwise wrangler reads the one in the current folder, and applies its settings to any Worker.
            config = Path(folder) / "wrangler.json"
            config.write_text("{}", encoding="utf-8")
            return self._finish([*arguments, "--config", str(config)], self._folder, {}).answer

    def _rows(self, arguments: Sequence[str], folder: Path) -> list[dict[str, Any]]:
        """Run a command; return the rows of its output file."""
        with tempfile.TemporaryDirectory(prefix="vinext-wrangler-") as own:
            log = Path(own) / "wrangler.ndjson"
            self._finish(arguments, folder, {"WRANGLER_OUTPUT_FILE_PATH": str(log)})
            text = log.read_text(encoding="utf-8") if log.is_file() else ""
        return [json.loads(line) for line in text.splitlines() if line.strip()]

    def _finish(self, arguments: Sequence[str], folder: Path, variables: Mapping[str, str]) -> Finished:
        # A configuration that a build wrote has no environments: it was built for one.
        fixed = {"CLOUDFLARE_ENV": None, "WRANGLER_SEND_METRICS": "false", "NO_COLOR": "1", "FORCE_COLOR": None, "CI": "1"}
        account = {"CLOUDFLARE_ACCOUNT_ID": self._account} if self._account else {}
        command = [str(self._tools.node), str(self._tools.wrangler), *arguments]
        finished = self._runner.run(command, folder, {**fixed, **account, **variables})
        if finished.status != 0:
            raise WranglerError(_name_of(arguments), finished.status, error_of(finished.output))
        return finished


def error_of(output: str) -> str:
    """Return wrangler's own error from what it printed, on one line: the line with ERROR, and the reason below it."""
    lines = [_COLOUR.sub("", line).strip() for line in output.splitlines()]
    lines = [line for line in lines if line and not line.startswith(_NOT_A_REASON)]
    start = next((at for at, line in enumerate(lines) if _ERROR in line), None)
    if start is None:
        return lines[-1] if lines else "it printed nothing"
    error = lines[start].partition(_ERROR)[2].strip()
    reasons = [line for line in lines[start + 1 :] if _ERROR not in line]
    return " ".join([error, *reasons[:1]])


def _of(config: Path, environment: str | None) -> list[str]:
    return ["--config", str(config), *(["--env", environment] if environment else [])]


def _saying(message: str) -> list[str]:
    return ["--message", message[:_MESSAGE_CHARACTERS]]


def _name_of(arguments: Sequence[str]) -> str:
    """Return the words of a command, without its options."""
    words: list[str] = []
    for word in arguments:
        if word.startswith("-") or "/" in word or "@" in word:
            break
        words.append(word)
    return " ".join(words)
