from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
from rich.console import Console

from vinext_worker.checkout import Checkout
from vinext_worker.sites.site_build import build_vinext_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vinext_worker.sites.site_build import SiteBuild

SERVE = Path(__file__).with_name("serve.mjs")


@dataclass(frozen=True)
class PagesWorker:
    """The example's own Worker in workerd, without vinext-worker in front."""

    client: httpx2.Client
    markers_url: str

    def markers(self) -> dict[str, str]:
        """Return what is in the KV namespace."""
        answer: dict[str, str] = httpx2.get(self.markers_url).json()
        return answer


@pytest.fixture(scope="session")
def project() -> Checkout:
    return Checkout.find()


@pytest.fixture(scope="session")
def example(project: Checkout) -> SiteBuild:
    return build_vinext_site(project.root / "examples" / "vinext", project, Console(stderr=True))


@pytest.fixture(scope="session")
def pages(project: Checkout, example: SiteBuild) -> Iterator[PagesWorker]:
    command = [project.node, SERVE, project.node_modules, example.server_config]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        addresses = json.loads(process.stdout.readline())
        with httpx2.Client(base_url=addresses["pages"], timeout=30, follow_redirects=False) as client:
            yield PagesWorker(client, addresses["markers"])
