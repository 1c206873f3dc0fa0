"""Bringing new versions to the visitors in steps, with a check after each; a red one takes them back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from core.errors import VinextWorkerError
from vinext_worker.deploy.live import LiveError
from vinext_worker.errors import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_WHOLE = 100


@dataclass(frozen=True)
class Change:
    """A Worker goes from one version to another. A page handler does so without steps (`Rollout`)."""

    worker: str
    old: str
    new: str
    has_steps: bool = True

    def shares(self, percent: int) -> dict[str, float]:
        """Return the deployment in which the new version serves some of the visitors."""
        return {self.new: _WHOLE} if percent == _WHOLE else {self.old: _WHOLE - percent, self.new: percent}


class Serving(Protocol):
    """Decides which versions serve visitors; see `cloudflare.versions.Versions`."""

    def serve(self, worker: str, shares: Mapping[str, float], message: str) -> None: ...


@dataclass(frozen=True)
class Rollout:
    """Changes, in the order in which they reach visitors.

    The page handler goes first and comes back last. So the Worker in front never serves visitors from a page handler that is
    older than itself, which may not know its protocol. It takes no steps: while it had two versions, nothing would
    lead the request for a page's script to the one that has rendered the page.
    """

    changes: Sequence[Change]
    steps: Sequence[int]
    serving: Serving
    check: Callable[[int], object]
    """Raises UserError if the new versions are wrong. Takes how many of the changes visitors have begun to get."""
    wait: Callable[[], None]
    """Waits until enough visitors have seen a step."""
    say: Callable[[str], None]

    def run(self) -> None:
        """Go through the steps.

        If one fails or is interrupted, take everything back and raise LiveError, or an unexpected error as it is.
        """
        try:
            for change in self.changes:
                self.serving.serve(change.worker, change.shares(0), "for the check, before any visitor")
            self.check(0)
            self.say("the new versions are right; no visitor has seen them yet")
            for number, change in enumerate(self.changes, 1):
                for percent in self._percentages() if change.has_steps else [_WHOLE]:
                    self.serving.serve(change.worker, change.shares(percent), f"{percent} % of the visitors")
                    self.say(f"{change.worker}: {percent} % of the visitors have the new version")
                    if change.has_steps:
                        self.wait()
                    self.check(number)
        except BaseException as error:
            kept = self._take_back()
            if not isinstance(error, VinextWorkerError | KeyboardInterrupt):
                self.say(kept)
                raise
            raise LiveError(f"{reason_of(error)}; {kept}") from error

    def _percentages(self) -> list[int]:
        return [*(step for step in sorted(set(self.steps)) if 0 < step < _WHOLE), _WHOLE]

    def _take_back(self) -> str:
        left: list[str] = []
        for change in reversed(self.changes):
            try:
                self.serving.serve(change.worker, {change.old: _WHOLE}, "taken back")
            except (VinextWorkerError, KeyboardInterrupt) as error:
                advice = f"run `npx wrangler rollback {change.old} --name {change.worker}`"
                left.append(f"{change.worker} could not be taken back ({reason_of(error)}); {advice}")
        return "; ".join(left) or ("all visitors have the versions from before again" if self.changes else "nothing to take back")
