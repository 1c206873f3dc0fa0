"""vinext's own KV handlers and this project's, on one namespace, and a clock that all of them go by."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.local_runtime import BuildService, LocalRuntime, RuntimeOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx2 as httpx

    from vinext_worker.project import Project

FIXTURE = Path(__file__).parents[1] / "fixtures" / "side_by_side"
PACKAGES = ("package.json", "package-lock.json", ".npmrc")
VINEXT = {"v1": "vinext@0.0.38", "v2": "@vinext/cloudflare@1.0.0-beta.7"}
"""Key schema to the package whose handler writes it."""

_apps = count(1)


def install(project: Project) -> Path:
    """Install the pinned packages in a folder that git ignores, where that was not done; return the folder."""
    folder = project.local / "side_by_side"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = "".join((FIXTURE / name).read_text() for name in PACKAGES)
    stamp = folder / "installed"
    if not stamp.is_file() or stamp.read_text() != wanted:
        stamp.unlink(missing_ok=True)
        for name in PACKAGES:
            shutil.copyfile(FIXTURE / name, folder / name)
        npm = shutil.which("npm")
        assert npm is not None, "npm was not found on PATH; install Node.js with npm"
        subprocess.run([npm, "ci"], cwd=folder, check=True, capture_output=True)
        stamp.write_text(wanted)
    return folder


def bundle(project: Project, schema: str, folder: Path) -> BuildService:
    """Make a Worker of one of vinext's handlers."""
    packages = install(project)
    for source in FIXTURE.glob("*.js"):
        shutil.copyfile(source, packages / source.name)
    main = folder / f"{schema}.js"
    esbuild = project.tools.node_modules / ".bin" / "esbuild"
    arguments = ("--bundle", "--format=esm", "--conditions=workerd,worker", "--external:node:*", "--log-level=error")
    environment = os.environ | {"PATH": f"{project.tools.node.parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run([esbuild, packages / main.name, *arguments, f"--outfile={main}"], check=True, env=environment)
    ours = tomllib.loads((FIXTURE / "wrangler.toml").read_text())
    config = {
        "name": f"vinext-{schema}",
        "main": main.name,
        "compatibility_date": "2026-07-28",
        "compatibility_flags": ["nodejs_compat"],
        "kv_namespaces": ours["kv_namespaces"],
        "rules": [{"type": "ESModule", "globs": [main.name]}],
    }
    (folder / f"{schema}.json").write_text(json.dumps(config))
    return BuildService(folder / f"{schema}.json")


@contextmanager
def started(project: Project, folder: Path) -> Iterator[LocalRuntime]:
    """All of the Workers in one workerd."""
    ours = folder / "ours"
    shutil.copytree(FIXTURE / "src", ours / "src")
    shutil.copyfile(FIXTURE / "wrangler.toml", ours / "wrangler.toml")
    for package in ("core", "cache", "pages", "edge"):
        shutil.copytree(project.root / "src" / package, ours / "src" / package)
    services = {schema.upper(): bundle(project, schema, folder) for schema in VINEXT}
    options = RuntimeOptions(config=WranglerConfig.read(ours / "wrangler.toml"), tools=project.tools, services=services)
    with LocalRuntime(options) as runtime:
        yield runtime


@dataclass(frozen=True)
class Failed:
    """An operation that raised, and with what."""

    message: str


class Party:
    """One handler: vinext's, or ours for a schema or layout."""

    def __init__(self, client: httpx.Client, url: str, app: App) -> None:
        self._client = client
        self._url = url
        self._app = app

    def ask(self, *operations: Mapping[str, Any]) -> list[Any]:
        """Perform operations, one after the other; return what each gave."""
        timed = [{"now": self._app.now_ms, **operation} for operation in operations]
        # By hand: the text may hold lone surrogates, which no encoding takes but JSON's escapes.
        content = json.dumps({"app": self._app.name, "operations": timed}).encode()
        results = self._client.post(self._url, content=content).raise_for_status().json()
        return [Failed(result["error"]) if "error" in result else result["result"] for result in results]

    def set(self, key: str, value: Mapping[str, Any] | None, **context: Any) -> Any:
        (result,) = self.ask({"action": "set", "key": key, "value": value, "context": context})
        return result

    def get(self, key: str, **context: Any) -> Any:
        """What a new request finds: nothing of what was remembered."""
        _, result = self.ask({"action": "resetRequestCache"}, {"action": "get", "key": key, "context": context})
        return result

    def revalidate_tag(self, *tags: str, expire: float | None = None) -> Any:
        durations = {} if expire is None else {"expire": expire}
        (result,) = self.ask({"action": "revalidateTag", "tags": tags, **durations})
        return result

    def revalidate_by_path_prefix(self, prefix: str) -> Any:
        (result,) = self.ask({"action": "revalidateByPathPrefix", "prefix": prefix})
        return result


class App:
    """A part of the namespace that nobody has used, with a clock of its own."""

    START_MS = 1_795_000_000_123

    def __init__(self, runtime: LocalRuntime, client: httpx.Client) -> None:
        self.name = f"app{next(_apps)}"
        self.now_ms = self.START_MS
        self._kv = runtime.kv("VINEXT_CACHE")
        self.vinext = {schema: Party(client, runtime.service_urls[schema.upper()], self) for schema in VINEXT}
        self.ours = {kind: Party(client, f"{runtime.direct_url}/{kind}", self) for kind in ("v1", "v2", "framed")}

    def stored(self, name: str) -> bytes | None:
        """What lies under a name of the namespace, `cache:` or `__tag:` included."""
        return self._kv.get(f"{self.name}:{name}")

    def store(self, name: str, value: bytes | str) -> None:
        self._kv.put(f"{self.name}:{name}", value)

    def delete(self, name: str) -> None:
        self._kv.delete(f"{self.name}:{name}")

    def metadata(self, name: str) -> Any:
        return self._kv.metadata(f"{self.name}:{name}")

    def expirations(self) -> dict[str, int | None]:
        """Name to the epoch second when KV drops it."""
        return {row.name.removeprefix(f"{self.name}:"): row.expiration for row in self._kv.rows(f"{self.name}:")}
