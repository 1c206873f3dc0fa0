"""Changing what visitors see, and what to say if that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vinext_worker.cloudflare.wrangler import WranglerError
from vinext_worker.errors import UserError, reason_of

if TYPE_CHECKING:
    from pathlib import Path

    from vinext_worker.cloudflare.wrangler import Wrangler


class LiveError(UserError):
    """A step has failed that may have changed what visitors see; the message says what they see now."""


def deploy_live(wrangler: Wrangler, config: Path, environment: str | None, message: str) -> list[str]:
    """Deploy the Worker of a configuration; return the URLs that wrangler names. Raise LiveError if it fails or is interrupted.

    wrangler lets the new version serve visitors first. Routes, domains and cron triggers come after that, and may be refused.
    """
    try:
        return wrangler.deploy(config, environment, message, dry_run=False)
    except (WranglerError, KeyboardInterrupt) as error:
        raise LiveError(f"{reason_of(error)}; it may be live all the same, see `vinext-worker versions`") from error
