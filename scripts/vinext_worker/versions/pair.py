"""The Worker and its page handler, and the deployments of both."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING

from vinext_worker.cloudflare.login import account_of
from vinext_worker.cloudflare.versions import Versions
from vinext_worker.cloudflare.wrangler import ProgramRunner, Wrangler
from vinext_worker.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vinext_worker.cloudflare.deployment import Deployment
    from vinext_worker.cloudflare.versions import Served


@dataclass(frozen=True)
class Pair:
    """The names of the Worker in front and of its page handler, None if that is in the same Worker."""

    front: str
    pages: str | None

    @classmethod
    def of(cls, deployment: Deployment) -> Pair:
        """Return the pair that a configuration names."""
        handler = deployment.settings.page_handler
        pages = deployment.config.services.get(handler.attribute) if handler.kind == "service" else None
        return cls(deployment.config.name, pages)

    @property
    def names(self) -> tuple[str, ...]:
        """The Workers, in the order in which a rollback takes them back."""
        return (self.front,) if self.pages is None else (self.front, self.pages)


@dataclass(frozen=True)
class Back:
    """A Worker goes back from a deployment to one version."""

    worker: str
    now: Served
    then: str

    @property
    def changes(self) -> bool:
        """Whether any other version is part of the deployment, even with 0 %."""
        return self.now.shares.keys() != {self.then}

    @property
    def leaving(self) -> str:
        """The version that serves most visitors, or none yet, and will not any more. There is one if anything changes."""
        return max((version for version in self.now.shares if version != self.then), key=lambda version: self.now.shares[version])


def open_versions(deployment: Deployment) -> Versions:
    """Return the versions in the account of a configuration; raise UserError if nobody is logged in."""
    wrangler = Wrangler(deployment.project.tools, ProgramRunner(lambda _: None), deployment.config.folder)
    return Versions(wrangler.of_account(account_of(wrangler, deployment.config).account))


def way_back(
    pair: Pair, served: Mapping[str, Sequence[Served]], messages: Mapping[str, Mapping[str, str]], version: str | None
) -> list[Back]:
    """Return what goes back, the Worker in front first; raise UserError if there is nothing to go back to.

    `served` has each Worker's deployments, the newest first, and `messages` what was said of their versions. `version` is one
    of the Worker in front, by default the last that has served all visitors, with another page handler than now or before now.
    """
    front = served[pair.front]
    if not front:
        raise UserError(f"{pair.front} has never been deployed, so there is nothing to go back to")
    is_complete = all(len(served[worker][0].shares) == 1 for worker in pair.names if served[worker])
    for then in dict.fromkeys(one.only for one in front if one.only is not None and version in {None, one.only}):
        of_build = None if pair.pages is None else _of_its_build(pair.front, then, pair.pages, served, messages)
        # A page handler that was deployed alone is no reason to go back, unless the builds tell that it does not belong here.
        if version is None and of_build is None and is_complete and then == front[0].only:
            continue
        goals = {pair.front: then}
        if pair.pages is not None and served[pair.pages]:
            goals[pair.pages] = of_build or _longest_with(pair.front, then, pair.pages, served)
        backs = [Back(worker, served[worker][0], goal) for worker, goal in goals.items()]
        backs = [back for back in backs if back.changes]
        if backs or version is not None:
            return backs
    raise UserError(
        f"{pair.front} has no earlier version that has served all visitors; see `vinext-worker versions`"
        if version is None
        else f"the version {version} of {pair.front} has not served all visitors in one of the last {len(front)} deployments; "
        "see `vinext-worker versions`"
    )


def _of_its_build(
    front: str, version: str, pages: str, served: Mapping[str, Sequence[Served]], messages: Mapping[str, Mapping[str, str]]
) -> str | None:
    """Return the page handler's version of which the same was said as of the Worker's, None if there is not exactly one."""
    said = messages[front].get(version)
    found = {one.only for one in served[pages] if one.only is not None and said and messages[pages].get(one.only) == said}
    return found.pop() if len(found) == 1 else None


def _longest_with(front: str, version: str, pages: str, served: Mapping[str, Sequence[Served]]) -> str:
    """Return the page handler's version that served for longest with a version of the Worker; raise UserError if none did.

    Others do for a moment: a deploy brings the page handler first, and a rollback takes it back last.
    """
    periods = _periods(version, served[front])
    seconds = {
        one.only: _seconds_together(periods, _periods(one.only, served[pages])) for one in served[pages] if one.only is not None
    }
    longest = max(seconds, key=lambda other: seconds[other], default=None)
    if longest is None or seconds[longest] == 0:
        raise UserError(
            f"the version of {pages} that served with {version} is not in its last {len(served[pages])} deployments; "
            f"take both back with `npx wrangler rollback VERSION --name {pages}`, the same for {front} before"
        )
    return longest


def _periods(version: str, served: Sequence[Served]) -> list[tuple[float, float]]:
    """Return when a version has served all visitors, in seconds."""
    begins = [datetime.fromisoformat(one.created_on).timestamp() for one in served]
    return [(begin, end) for one, begin, end in zip(served, begins, [inf, *begins], strict=False) if one.only == version]


def _seconds_together(some: Sequence[tuple[float, float]], others: Sequence[tuple[float, float]]) -> float:
    return sum(max(0.0, min(end, until) - max(begin, since)) for begin, end in some for since, until in others)
