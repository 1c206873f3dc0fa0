"""A Worker that is about to be deployed: its configuration, and a build's pages in its assets; and the command line."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.fakes.builds import BUILT_AT_MS, real_build, set_built_at, written_build
from tests.fakes.cloudflare import NAMESPACE

from vinext_worker import main
from vinext_worker.copy.build_copy import copy_build

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest


@dataclass(frozen=True)
class FakeDeployment:
    """`assets` is what `vinext-worker copy` would have filled."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "wrangler.toml"

    @property
    def assets(self) -> Path:
        return self.folder / "assets"

    def configure(self, text: str = "", *, namespace: str | None = NAMESPACE, variables: str = "") -> None:
        kv = f'[[kv_namespaces]]\nbinding = "VINEXT_CACHE"\nid = "{namespace}"\n' if namespace else ""
        self.config.write_text(
            f'name = "front"\ncompatibility_date = "2026-10-01"\n{text}\n{kv}'
            f'[assets]\ndirectory = "assets"\nbinding = "ASSETS"\n[vars]\n{variables}\n'
        )

    @classmethod
    def of_version(cls, version: str, folder: Path, built_at_ms: int = BUILT_AT_MS, **settings: Any) -> FakeDeployment:
        deployment = cls(folder)
        built = real_build(version, folder / "site")
        set_built_at(built.manifest, built_at_ms)
        copy_build(built, deployment.assets)
        deployment.configure(**settings)
        return deployment

    @classmethod
    def of_pages(cls, folder: Path, pages: Mapping[str, bytes], build_id: str = "b1", **settings: Any) -> FakeDeployment:
        """Pages by path, HTML alone."""
        deployment = cls(folder)
        deployment.build(pages, build_id)
        deployment.configure(**settings)
        return deployment

    def build(self, pages: Mapping[str, bytes], build_id: str = "b1", **row: Any) -> None:
        rows = [{"route": path, "status": "rendered", "router": "app", "revalidate": 60} | row for path in pages]
        document = {"buildId": build_id, "trailingSlash": False, "routes": rows, "pregeneratedConcretePaths": []}
        files = {"index.html" if path == "/" else f"{path[1:]}.html": body for path, body in pages.items()}
        (self.folder / "site").mkdir(exist_ok=True, parents=True)
        copy_build(written_build(self.folder / "site", document, files), self.assets)


@dataclass(frozen=True)
class Said:
    """What a command printed, and how it ended."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document

    @property
    def errors(self) -> list[str]:
        """The lines of its errors, without those that say that something is tried again."""
        return [line for line in self.err.strip().splitlines() if not line.endswith("; retrying …")]


class CommandLine:
    """Runs commands in this process, as `main` does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        for name in [name for name in os.environ if name.startswith(("CLOUDFLARE_", "VINEXT_"))]:
            monkeypatch.delenv(name)

    def set(self, variables: Mapping[str, str]) -> None:
        for name, value in variables.items():
            self._monkeypatch.setenv(name, value)

    def run(self, *arguments: object) -> Said:
        self._monkeypatch.setattr(sys, "argv", ["vinext-worker", *map(str, arguments)])
        try:
            main.main()
            status = 0
        except SystemExit as ended:
            status = int(ended.code or 0)
        captured = self._capsys.readouterr()
        return Said(status, captured.out, captured.err)
