"""The sides that are asked the same: an app alone in workerd, and the app behind this Worker with each of its stores."""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.differential.words import Words
from tests.workerd.builds import copy_as_built_now

from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.local_runtime import BuildService, LocalRuntime, RuntimeOptions
from vinext_worker.local_runtime.services import assets_to_wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.differential.builds import BuiltTwice
    from tests.differential.data_server import DataServer

    from vinext_worker.checkout import Checkout
    from vinext_worker.sites.site_build import SiteBuild

_ALONE = Path(__file__).with_name("alone.mjs")
ALONE = "alone"
STORES: Mapping[str, frozenset[str]] = {"kv": frozenset(), "memory": frozenset({"VINEXT_CACHE"})}
"""Store to the bindings that this Worker then has not."""


@dataclass(frozen=True)
class Side:
    """Where an app is asked, and the words that are its build's own."""

    name: str
    url: str
    words: Words
    data: DataServer
    app: str

    def put(self, key: str, value: str) -> None:
        """Change what the app finds under a key."""
        self.data.put(f"{self.app}-{self.name}", key, value)


@contextmanager
def alone(project: Checkout, app: str, build: SiteBuild, variables: Mapping[str, str], data: DataServer) -> Iterator[Side]:
    """The app with nothing in front of it."""
    config = WranglerConfig.read(build.server_config)
    assert config.assets is not None
    given = {**variables, "DATA_URL": data.url(f"{app}-{ALONE}")}
    wire = BuildService(build.server_config, given).to_wire(assets_to_wire(config.assets))
    command = [project.node, _ALONE, project.node_modules]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(wire) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        assert line, f"the app {app} did not start alone; see the output of {_ALONE.name}"
        yield Side(ALONE, json.loads(line)["url"], Words.of(build), data, app)
        process.stdin.close()


@contextmanager
def behind_us(
    project: Checkout, app: str, build: SiteBuild, variables: Mapping[str, str], data: DataServer, store: str, folder: Path
) -> Iterator[Side]:
    """The app with this Worker in front, as if it had been built just now."""
    given = {**variables, "DATA_URL": data.url(f"{app}-{store}")}
    options = RuntimeOptions(
        config=WranglerConfig.read(project.configuration),
        checkout=project,
        services={"PAGES": BuildService(build.server_config, given)},
        assets_directory=copy_as_built_now(build, folder),
        without=STORES[store],
    )
    with LocalRuntime(options) as runtime:
        yield Side(store, runtime.url, Words.of(build), data, app)


@contextmanager
def all_sides(
    project: Checkout, app: str, builds: BuiltTwice, variables: Mapping[str, str], data: DataServer, folder: Path
) -> Iterator[dict[str, Side]]:
    """Every side of an app, by name; the app alone first."""
    with ExitStack() as started:
        sides = [started.enter_context(alone(project, app, builds.alone, variables, data))]
        for store in STORES:
            ours = behind_us(project, app, builds.behind_us, variables, data, store, folder / store)
            sides.append(started.enter_context(ours))
        yield {side.name: side for side in sides}
