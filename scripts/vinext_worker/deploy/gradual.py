"""Uploading both Workers as versions, and bringing these to the visitors."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vinext_worker.cloudflare.versions import Versions, overrides
from vinext_worker.deploy.live import LiveError, deploy_live
from vinext_worker.deploy.rollout import Change, Rollout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from vinext_worker.cloudflare.wrangler import Wrangler


@dataclass(frozen=True)
class WorkerConfig:
    """A Worker by its name, and the configuration that it is uploaded from."""

    name: str
    path: Path
    environment: str | None


@dataclass
class Gradual:
    """A deploy in steps.

    `check` requests the app with headers that name the versions, and raises UserError if it is wrong. It also takes how many of
    the Workers visitors have begun to get, as in `Rollout`.
    """

    wrangler: Wrangler
    workers: Sequence[WorkerConfig]
    """In the order in which they reach visitors: the page handler first."""
    check: Callable[[Mapping[str, str], int], object]
    steps: Sequence[int]
    step_seconds: float
    say: Callable[[str], None]
    urls: list[str] = field(default_factory=list)
    """The addresses of the last Worker, as far as wrangler tells them."""
    _changes: list[Change] = field(default_factory=list)
    _new: list[str] = field(default_factory=list)

    def upload(self, message: str) -> str:
        """Upload a version of each Worker. One that does not exist yet has no visitors, so it is deployed."""
        versions = Versions(self.wrangler)
        said: list[str] = []
        for worker in self.workers:
            served = versions.served(worker.name)
            if not served:
                self.urls = deploy_live(self.wrangler, worker.path, worker.environment, message)
                self._new.append(worker.name)
                said.append(f"{worker.name} is new, so it is live at once")
                continue
            uploaded = versions.upload(worker.path, worker.environment, message)
            self._changes.append(Change(worker.name, served[0].main, uploaded.id, has_steps=worker is self.workers[-1]))
            self.urls = [uploaded.live_url] if uploaded.live_url else []
            said.append(f"{worker.name} {uploaded.id}")
        return ", ".join(said)

    def roll_out(self) -> str:
        """Bring the uploaded versions to the visitors; raise LiveError if they are taken back."""
        headers = overrides({change.worker: change.new for change in self._changes})
        rollout = Rollout(
            self._changes,
            self.steps,
            Versions(self.wrangler),
            check=lambda begun: self.check(headers, begun),
            wait=lambda: time.sleep(self.step_seconds),
            say=self.say,
        )
        try:
            rollout.run()
        except LiveError as error:
            if self._new:
                raise LiveError(f"{error}; new, and so still live: {', '.join(self._new)}") from error
            raise
        return ", ".join(f"{change.worker} serves {change.new} to all visitors" for change in self._changes) or "nothing to do"
