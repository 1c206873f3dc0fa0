"""Rolling back with the real wrangler, at a stand-in of Cloudflare's interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fakes.cloudflare import ACCOUNT
from tests.fakes.shop import FRONT, make_shop

from vinext_worker.cloudflare.login import Login
from vinext_worker.versions import pair

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.cloudflare import FakeCloudflare
    from tests.fakes.deployments import CommandLine, FakeDeployment

VERSIONS = {
    "front": ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"),
    "pages": ("33333333-3333-4333-8333-333333333333", "44444444-4444-4444-8444-444444444444"),
}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cloudflare: FakeCloudflare) -> FakeDeployment:
    """Two builds of a shop were deployed."""
    monkeypatch.setattr(pair, "account_of", lambda *_: Login(ACCOUNT, "User API Token"))
    for name, versions in VERSIONS.items():
        cloudflare.workers.add(name, *versions)
        for build, version in enumerate(cloudflare.workers.scripts[name].versions, 1):
            version.metadata["annotations"] = {"workers/message": f"build {build}"}
    return make_shop(tmp_path, monkeypatch)


def test_a_rollback_that_fails_half_way_says_how_it_is_done(
    shop: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    workers = cloudflare.workers
    workers.refused_deployments.append("pages")
    old = {name: versions[0] for name, versions in VERSIONS.items()}
    said = command_line.run("rollback", "--config", shop.config)
    assert said.status == 1
    assert "already back: front; pages may be; see `vinext-worker versions`" in said.err
    assert f"run `vinext-worker rollback {old['front']}`" in said.err
    assert workers.share("front") == {old["front"]: 100}
    workers.refused_deployments.clear()
    # The builds tell that the page handler is not the Worker's own.
    said = command_line.run("rollback", "--config", shop.config, "--json")
    assert said.document["workers"] == [{"name": "pages", "from": VERSIONS["pages"][1], "to": old["pages"]}]
    assert workers.share("pages") == {old["pages"]: 100}


def test_a_worker_without_a_page_handler_of_its_own_goes_back_alone(
    shop: FakeDeployment, command_line: CommandLine, cloudflare: FakeCloudflare
) -> None:
    shop.configure(FRONT.replace("PAGES", "OTHER"), variables='VINEXT_PAGE_HANDLER = "asgi:site:app"')
    old, new = VERSIONS["front"]
    said = command_line.run("rollback", "--config", shop.config, "--dry-run", "--json")
    assert said.document == {"dryRun": True, "workers": [{"name": "front", "from": new, "to": old}]}
    assert cloudflare.workers.log == []
