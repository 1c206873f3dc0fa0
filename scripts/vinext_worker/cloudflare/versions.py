"""The versions of a Worker and its deployments: which versions serve visitors, and in which shares.

Source: https://developers.cloudflare.com/workers/versions-and-deployments/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vinext_worker.cloudflare.wrangler import WranglerError
from vinext_worker.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from vinext_worker.cloudflare.wrangler import Wrangler

NO_SUCH_WORKER = 10007
OVERRIDE_HEADER = "Cloudflare-Workers-Version-Overrides"
_WHOLE = 100
# A key of a dictionary in RFC 8941, 3.2; Cloudflare ignores the whole header if it is none.
_KEY = re.compile(r"[a-z][a-z0-9_.*-]*")
_PREVIEW = re.compile(r"(?<=://)[0-9a-f]{8}-")


@dataclass(frozen=True)
class Served:
    """A deployment: the percentage of the visitors by the version that serves them."""

    created_on: str
    shares: Mapping[str, float]

    @property
    def main(self) -> str:
        """The version that serves most visitors."""
        return max(self.shares, key=lambda version: self.shares[version])

    @property
    def only(self) -> str | None:
        """The version that serves all visitors, None if several do."""
        return next((version for version, share in self.shares.items() if share == _WHOLE), None)


@dataclass(frozen=True)
class Uploaded:
    """A version that no visitor sees yet. `preview_url` is its own address, if the account has any."""

    id: str
    preview_url: str | None = None

    @property
    def live_url(self) -> str | None:
        """The address of the Worker itself, as its version's address shows it."""
        return None if self.preview_url is None else _PREVIEW.sub("", self.preview_url)


class Versions:
    """The versions of an account's Workers, through wrangler. Each method raises WranglerError if it fails."""

    def __init__(self, wrangler: Wrangler) -> None:
        self._wrangler = wrangler

    def served(self, worker: str) -> list[Served]:
        """Return a Worker's last deployments, the newest first; none if there is no such Worker."""
        try:
            rows = self._wrangler.ask("deployments", "list", "--json", "--name", worker)
        except WranglerError as error:
            if error.code == NO_SUCH_WORKER:
                return []
            raise
        found = [Served(row["created_on"], {one["version_id"]: one["percentage"] for one in row["versions"]}) for row in rows]
        return sorted(found, key=lambda deployment: deployment.created_on, reverse=True)

    def messages(self, worker: str) -> dict[str, str]:
        """Return what was said of a Worker's last versions when they were uploaded."""
        rows: list[dict[str, Any]] = self._wrangler.ask("versions", "list", "--json", "--name", worker)
        return {row["id"]: str((row.get("annotations") or {}).get("workers/message") or "") for row in rows}

    def upload(self, config: Path, environment: str | None, message: str) -> Uploaded:
        """Upload a version of the Worker of a configuration."""
        row = self._wrangler.upload_version(config, environment, message)
        return Uploaded(str(row["version_id"]), row.get("preview_url"))

    def serve(self, worker: str, shares: Mapping[str, float], message: str) -> None:
        """Let versions serve the visitors, each the given percentage of them."""
        specs = [f"{version}@{share:g}" for version, share in shares.items()]
        self._wrangler.act("versions", "deploy", *specs, "--yes", "--name", worker, "--message", message)


def overrides(versions: Mapping[str, str]) -> dict[str, str]:
    """Return the header of a request that these versions are to answer, by Worker, whatever their shares.

    Each has to be part of its Worker's deployment, if only with 0 %. Raises UserError for a name that the header cannot carry.
    """
    for worker in versions:
        if not _KEY.fullmatch(worker):
            raise UserError(f"the Worker's name {worker!r} must begin with a letter, else a check cannot choose its version")
    return {OVERRIDE_HEADER: ", ".join(f'{worker}="{version}"' for worker, version in versions.items())}
