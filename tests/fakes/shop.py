"""A vinext app's build and the Worker in front of it, ready to be deployed by the real wrangler."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.fakes.builds import built_site
from tests.fakes.deployments import FakeDeployment

from vinext_worker.deploy import command

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from vinext_worker.sites.site_build import SiteBuild

FRONT = """
main = "src/entry.py"
compatibility_flags = ["python_workers"]
[[services]]
binding = "PAGES"
service = "pages"
"""
ENTRY = "from workers import WorkerEntrypoint\n\n\nclass Default(WorkerEntrypoint):\n    pass\n"
PAGES = {"name": "pages", "main": "index.js", "compatibility_date": "2026-10-01", "no_bundle": True}


def make_shop(folder: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDeployment:
    """Make both Workers in a folder; the app is built already, and is not built again."""
    shop = FakeDeployment.of_pages(folder, {"/": b"<p>", "/a": b"<p>"})
    shop.configure(FRONT)
    server = folder / "site" / "dist" / "server"
    (server / "wrangler.json").write_text(json.dumps(PAGES))
    (server / "index.js").write_text("export default { fetch: () => new Response('page') };\n")
    (folder / "src").mkdir()
    (folder / "src" / "entry.py").write_text(ENTRY)
    workers = folder / "python_modules" / "workers"
    workers.mkdir(parents=True)
    (workers / "__init__.py").write_text("class WorkerEntrypoint: ...\n")

    def site_of(_folder: Path, *_more: object) -> SiteBuild:
        return built_site(folder / "site", server / "prerendered-routes")

    monkeypatch.setattr(command, "build_vinext_site", site_of)
    monkeypatch.setattr(command, "find_build", site_of)
    return shop
