"""Who is measured: each contender by its name, with its site built when it is first asked for."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from benchmarks import sites
from benchmarks.cases import ALONE, BEHIND_US, FRAMED, FRONT, LAYOUT, MEMORY, OPENNEXT, TIERED, VINEXT
from benchmarks.contender import alone, our_options, ours, peer
from benchmarks.opennext import build_opennext
from vinext_worker.copy.build_copy import copy_build
from vinext_worker.local_runtime import RuntimeOptions

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rich.console import Console

    from benchmarks.contender import Contender, Store
    from vinext_worker.project import Project

_STORES: dict[str, Store] = {MEMORY: "memory", FRAMED: "framed", LAYOUT: "vinext", TIERED: "tiered"}
_VERSIONS = dict(zip(VINEXT, (sites.VINEXT_0, sites.VINEXT_1), strict=True))


class Contenders:
    """All of them; `against` is another checkout of this project, whose Worker is measured beside this one's."""

    def __init__(self, project: Project, console: Console, against: Path | None) -> None:
        self._project = project
        self._console = console
        self._against = against

    def named(self, names: Iterable[str]) -> list[Contender]:
        """The contenders of these names; raises UserError."""
        return [self._named(name) for name in dict.fromkeys(names)]

    def _named(self, name: str) -> Contender:
        if name in _STORES:
            return ours(_STORES[name], self.options, name)
        if name in _VERSIONS:
            return peer(name, sites.build(_VERSIONS[name], self._project, self._console).server_config, self._project)
        if name == FRONT:
            built = sites.build(sites.BEHIND, self._project, self._console)
            return peer(name, built.server_config, self._project, is_behind=True)
        if name in OPENNEXT:
            regional = {"REGIONAL_CACHE": "on"} if name == OPENNEXT[1] else {}
            return peer(name, build_opennext(self._project, self._console), self._project, regional)
        if name in (*ALONE, *BEHIND_US):
            return self._python(name)
        assert self._against is not None  # noqa: S101 - only its contenders have other names
        store = _STORES[name.removesuffix(f" ({self._against.name})")]
        built = sites.build(sites.BEHIND, self._project, self._console)
        return ours(store, our_options(self._against.resolve(), built, self.options.assets_directory), name)

    @cached_property
    def options(self) -> RuntimeOptions:
        """This Worker in front of its site."""
        built = sites.build(sites.BEHIND, self._project, self._console)
        assets = self._project.local / "benchmarks" / "assets"
        copy_build(built, assets)
        return our_options(self._project.root, built, assets)

    def _python(self, name: str) -> Contender:
        site = sites.build_python(self._project, self._console)
        app = name.removeprefix("ours, ").lower()
        if name in BEHIND_US:
            variables = {"VINEXT_PAGE_HANDLER": f"asgi:apps:{app}"}
            return ours("tiered", RuntimeOptions(site.config, self._project.tools, variables=variables), name)
        config = replace(site.config, main=site.sources / f"alone_{app}.py")
        return alone(name, RuntimeOptions(config, self._project.tools))
