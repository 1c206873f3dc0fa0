"""Whose requests are measured, each with a workerd process of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from benchmarks.process import Meter
from cache.keys import kv_last_invalidation_key
from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.local_runtime import BuildService, LocalRuntime, RuntimeOptions, ScriptService
from vinext_worker.tools import Tools

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from vinext_worker.local_runtime import Service
    from vinext_worker.project import Project
    from vinext_worker.sites.site_build import SiteBuild

_SERVE = Path(__file__).with_name("serve.mjs")
_FRONT = Path(__file__).with_name("front.mjs")
_WORKERD = "workerd"

ADMIN_TOKEN = "benchmark-token-0123456789-abcdefghijklmnopqrst"  # noqa: S105 - it protects nothing

_QUIET_SECONDS = 600

Store = Literal["memory", "framed", "vinext", "tiered"]


@dataclass(frozen=True)
class Running:
    """A Worker that answers at `url`."""

    url: str
    meter: Meter
    runtime: LocalRuntime | None = None

    def invalidate(self, wanted: Mapping[str, Any]) -> None:
        """Let a Worker with ADMIN_TOKEN invalidate tags, paths or prefixes."""
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": "application/json"}
        url = f"{self.url}/__vinext/revalidate"
        request = urllib.request.Request(url, json.dumps(wanted).encode(), headers)  # noqa: S310 - our own
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - our own
            response.read()


@dataclass(frozen=True)
class Contender:
    """A Worker by the name that the tables have for it, and how it is started."""

    name: str
    start: Callable[[], AbstractContextManager[Running]] = field(repr=False)


def peer(
    name: str, config: Path, project: Project, variables: Mapping[str, str] | None = None, *, is_behind: bool = False
) -> Contender:
    """Another project's Worker, built, with its own cache in KV; `is_behind`: behind the least of a Worker (`front.mjs`)."""

    @contextmanager
    def start() -> Iterator[Running]:
        command: list[str | Path] = [project.tools.node, _SERVE, project.tools.node_modules, config]
        command += [json.dumps(dict(variables or {})), *([_FRONT] if is_behind else [])]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None and process.stdout is not None  # noqa: PT018, S101 - both are pipes
            url = json.loads(process.stdout.readline())["url"]
            yield Running(url, Meter.of_child(process.pid, _WORKERD))
            process.stdin.close()

    return Contender(name, start)


def ours(store: Store, options: RuntimeOptions, name: str | None = None) -> Contender:
    """This Worker with its entries in a store."""
    stored = with_store(store, options)

    @contextmanager
    def start() -> Iterator[Running]:
        with LocalRuntime(stored) as runtime:
            if store != "memory":
                note_quiet(runtime)
            yield Running(runtime.direct_url, Meter.of_child(runtime.host_pid, _WORKERD), runtime)

    return Contender(name or f"ours, {store}", start)


def note_quiet(runtime: LocalRuntime) -> None:
    """Let the markers in KV say that nothing was invalidated in the last ten minutes."""
    runtime.kv().put(kv_last_invalidation_key(), str(int((time.time() - _QUIET_SECONDS) * 1000)))


def our_options(checkout: Path, built: SiteBuild | None, assets: Path | None) -> RuntimeOptions:
    """This Worker out of a checkout, in front of a built site whose pages have been copied to `assets`."""
    services: dict[str, Service] = {}
    if built is not None:
        services["PAGES"] = BuildService(built.server_config)
    config = WranglerConfig.read(checkout / "wrangler.toml")
    return RuntimeOptions(config, Tools(checkout), services=services, assets_directory=assets)


def alone(name: str, options: RuntimeOptions) -> Contender:
    """A Python Worker without this project."""

    @contextmanager
    def start() -> Iterator[Running]:
        with LocalRuntime(options) as runtime:
            yield Running(runtime.direct_url, Meter.of_child(runtime.host_pid, _WORKERD), runtime)

    return Contender(name, start)


def with_a_door(project: Project, folder: Path, entry: str, pages: str) -> RuntimeOptions:
    """This Worker with an entry of its own (`with_own_entry`), in front of a script that renders `pages`."""
    with_own_entry(project, folder, entry)
    (folder / "assets").mkdir()
    return replace(our_options(folder, None, folder / "assets"), services={"PAGES": ScriptService(pages)})


def with_own_entry(project: Project, folder: Path, entry: str) -> Path:
    """Return `folder`, to which this Worker is copied with another `entry` module, which has a path of its own."""
    shutil.copytree(project.root / "src", folder / "src")
    (folder / "src" / "entry.py").write_text(entry)
    shutil.copy2(project.configuration, folder / "wrangler.toml")
    return folder


def with_store(store: Store, options: RuntimeOptions) -> RuntimeOptions:
    """This Worker's options for one of the stores that are compared."""
    if store == "memory":
        return replace(options, without=options.without | {"VINEXT_CACHE"})
    layout = "vinext" if store == "vinext" else "framed"
    variables = {**options.variables, "VINEXT_KV_LAYOUT": layout}
    if store != "tiered":
        variables["VINEXT_MEMORY_BYTES"] = "0"
    return replace(options, variables=variables)
