"""The Worker and its page handler, and the deployments of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vinext_worker.cloudflare.login import account_of
from vinext_worker.cloudflare.versions import Versions
from vinext_worker.cloudflare.wrangler import ProgramRunner, Wrangler
from vinext_worker.errors import UserError

if TYPE_CHECKING:
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
    """A Worker goes back to an earlier version."""

    worker: str
    now: str
    then: str


def open_versions(deployment: Deployment) -> Versions:
    """Return the versions in the account of a configuration; raise UserError if nobody is logged in."""
    wrangler = Wrangler(deployment.project.tools, ProgramRunner(lambda _: None), deployment.config.folder)
    return Versions(wrangler.of_account(account_of(wrangler, deployment.config).account))


def way_back(pair: Pair, served: dict[str, list[Served]], version: str | None) -> list[Back]:
    """Return what goes back, the Worker in front first; raise UserError if there is nothing to go back to.

    `served` has each Worker's deployments, the newest first. `version` is one of the Worker in front, by default the last one
    that has served all visitors before. The page handler goes back to the one that served with it: a deploy brings the page
    handler first.
    """
    front = served[pair.front]
    if not front:
        raise UserError(f"{pair.front} has never been deployed, so there is nothing to go back to")
    now = front[0].main
    wanted = (one for one in front if one.only is not None and (one.only == version if version else one.only != now))
    then = next(wanted, None)
    if then is None or then.only is None:
        known = f"has not served all visitors in one of the last {len(front)} deployments"
        raise UserError(
            f"the version {version} of {pair.front} {known}; see `vinext-worker versions`"
            if version
            else f"{pair.front} has no earlier version that has served all visitors; see `vinext-worker versions`"
        )
    backs = [Back(pair.front, now, then.only)]
    if pair.pages is not None and (pages := served[pair.pages]):
        with_it = next((one.only for one in pages if one.only and one.created_on <= then.created_on), None)
        if with_it is None:
            raise UserError(
                f"the version of {pair.pages} that served with {then.only} is not in its last {len(pages)} deployments; "
                f"take both back with `npx wrangler rollback VERSION --name {pair.pages}`, the same for {pair.front} before"
            )
        backs.append(Back(pair.pages, pages[0].main, with_it))
    return [back for back in backs if back.now != back.then or len(served[back.worker][0].shares) > 1]
