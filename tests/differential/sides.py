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

    from vinext_worker.project import Project

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


@dataclass(frozen=True)
class Deployment:
    """An app with its settings, ready to be started on each side."""

    project: Project
    app: str
    builds: BuiltTwice
    variables: Mapping[str, str]
    data: DataServer
    folder: Path
    """Where the pages of the build are copied to."""

    @contextmanager
    def all_sides(self) -> Iterator[dict[str, Side]]:
        """Every side by name; the app alone first."""
        with ExitStack() as started:
            sides = [started.enter_context(self._alone()), *(started.enter_context(self._behind_us(store)) for store in STORES)]
            yield {side.name: side for side in sides}

    @contextmanager
    def _alone(self) -> Iterator[Side]:
        """The app with nothing in front of it."""
        config = WranglerConfig.read(self.builds.alone.server_config)
        assert config.assets is not None
        wire = BuildService(config.path, self._variables(ALONE)).to_wire(assets_to_wire(config.assets))
        command = [self.project.tools.node, _ALONE, self.project.tools.node_modules]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(wire) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
            assert line, f"the app {self.app} did not start alone; see the output of {_ALONE.name}"
            yield Side(ALONE, json.loads(line)["url"], Words.of(self.builds.alone), self.data, self.app)
            process.stdin.close()

    @contextmanager
    def _behind_us(self, store: str) -> Iterator[Side]:
        """The app with this Worker in front, as if it had been built just now."""
        build = self.builds.behind_us
        options = RuntimeOptions(
            config=WranglerConfig.read(self.project.configuration),
            tools=self.project.tools,
            services={"PAGES": BuildService(build.server_config, self._variables(store))},
            assets_directory=copy_as_built_now(build, self.folder / store),
            without=STORES[store],
        )
        with LocalRuntime(options) as runtime:
            yield Side(store, runtime.url, Words.of(build), self.data, self.app)

    def _variables(self, side: str) -> dict[str, str]:
        return {**self.variables, "DATA_URL": self.data.url(f"{self.app}-{side}")}
