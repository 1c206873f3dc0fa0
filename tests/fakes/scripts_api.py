"""The part of Cloudflare's interface that deploys Workers: scripts, versions, deployments and their assets.

It does what `wrangler` needs from start to end, and refuses what Cloudflare refuses.
Sources: https://developers.cloudflare.com/api/resources/workers/ and the requests that wrangler makes.
"""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.parser import BytesParser
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

SUBDOMAIN = "example"


class NotThereError(Exception):
    """Cloudflare's refusal: a status, a code and a message."""

    def __init__(self, status: int, code: int, message: str) -> None:
        self.status, self.code, self.message = status, code, message
        super().__init__(message)


@dataclass
class Version:
    """A version that was uploaded. `variables` are its bindings of plain text."""

    id: str
    number: int
    modules: tuple[str, ...]
    metadata: dict[str, Any]
    assets: tuple[str, ...]
    created_on: str

    @property
    def variables(self) -> dict[str, str]:
        return {row["name"]: row["text"] for row in self.metadata.get("bindings", ()) if row["type"] == "plain_text"}

    def document(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "number": self.number,
            "metadata": {
                "created_on": self.created_on,
                "modified_on": self.created_on,
                "source": "wrangler",
                "author_email": "dev@example.com",
                "has_preview": True,
            },
            "annotations": {key: value for key, value in self.metadata.get("annotations", {}).items() if value},
            "resources": {
                "bindings": self.metadata.get("bindings", []),
                "script": {"etag": self.id, "handlers": ["fetch"], "last_deployed_from": "wrangler"},
                "script_runtime": {"compatibility_date": self.metadata.get("compatibility_date")},
            },
            "startup_time_ms": 10,
        }


@dataclass
class Script:
    """A Worker. The newest deployment comes first; each is a percentage by version."""

    name: str
    versions: list[Version] = field(default_factory=list)
    deployments: list[dict[str, float]] = field(default_factory=list)


@dataclass
class ScriptsAPI:
    """The Workers of the account."""

    max_assets: int = 20_000
    refused: str = ""
    """Why every upload is refused; "" if none is."""
    is_read_only: bool = False
    """Whether the token may look at Workers and not upload any."""
    refused_deployments: list[str] = field(default_factory=list)
    """Workers whose deployments are refused."""
    scripts: dict[str, Script] = field(default_factory=dict)
    log: list[tuple[str, dict[str, float]]] = field(default_factory=list)
    """Each deployment of any Worker, in order."""
    after_deployment: Callable[[str, dict[str, float]], None] = lambda _name, _share: None

    def __post_init__(self) -> None:
        self._manifests: dict[str, tuple[str, ...]] = {}
        self._seconds = 0

    def add(self, name: str, *versions: str) -> None:
        """Add a Worker that was deployed in these versions, one after the other."""
        script = self.scripts.setdefault(name, Script(name))
        for version in versions:
            script.versions.append(Version(version, len(script.versions) + 1, (), {}, (), self._now()))
            script.deployments.insert(0, {version: 100})

    def share(self, name: str) -> dict[str, float]:
        """Return the current deployment of a Worker."""
        return self.scripts[name].deployments[0]

    def answer(  # noqa: C901, PLR0911, PLR0912 - a case for each path
        self, method: str, path: list[str], query: dict[str, str], kind: str, body: bytes
    ) -> Any:
        if self.is_read_only and method != "GET":
            raise NotThereError(403, 10000, "Authentication error")
        match method, path:
            case "GET", ["subdomain"]:
                return {"subdomain": SUBDOMAIN}
            case "GET", ["services", name]:
                self._script(name)
                script = {"id": name, "tag": f"tag-{name}", "tags": [], "last_deployed_from": "wrangler"}
                return {"id": name, "default_environment": {"environment": "production", "script": script}}
            case "GET", ["workers", name]:
                suffix = f"-{name}.{SUBDOMAIN}.workers.dev"
                return {"id": name, "subdomain": {"enabled": True, "previews_enabled": True, "preview_url_suffix": suffix}}
            case "GET" | "POST", ["scripts", name, "subdomain"]:
                return {"enabled": True, "previews_enabled": True}
            case _, ["scripts", _, "script-settings" | "settings"]:
                return {"tags": [], "observability": {"enabled": True}, "logpush": False, "tail_consumers": []}
            case "GET", ["scripts", _, "secrets"]:
                return []
            case "POST", ["scripts", _, "assets-upload-session"]:
                return self._assets_session(json.loads(body)["manifest"])
            case "POST", ["assets", "upload"]:
                return {"jwt": self._last_token}
            case "PUT", ["scripts", name]:
                version = self._upload(name, kind, body)
                self._deploy(name, {version.id: 100})
                return {"id": name, "tag": f"tag-{name}", "startup_time_ms": 10, "deployment_id": version.id, "etag": version.id}
            case "POST", ["scripts", name, "versions"]:
                self._script(name)
                return self._upload(name, kind, body).document()
            case "GET", ["scripts", name, "versions"]:
                return {"items": [version.document() for version in reversed(self._script(name).versions)]}
            case "GET", ["scripts", name, "versions", version]:
                return self._version(name, version).document()
            case "GET", ["scripts", name, "deployments"]:
                script_ = self._script(name)
                count = len(script_.deployments)
                return {"deployments": [self._deployment(share, count - at) for at, share in enumerate(script_.deployments)]}
            case "POST", ["scripts", name, "deployments"]:
                if name in self.refused_deployments:
                    raise NotThereError(400, 10214, "This deployment was refused.")
                share = {row["version_id"]: row["percentage"] for row in json.loads(body)["versions"]}
                for version in share:
                    self._version(name, version)
                if sum(share.values()) != 100:
                    raise NotThereError(400, 10212, "The percentages must sum to 100.")
                self._deploy(name, share)
                return self._deployment(share, len(self.scripts[name].deployments))
        raise NotThereError(404, 7003, f"Could not route to /workers/{'/'.join(path)}")

    def _script(self, name: str) -> Script:
        if name not in self.scripts:
            raise NotThereError(404, 10007, "This Worker does not exist on your account.")
        return self.scripts[name]

    def _version(self, name: str, version: str) -> Version:
        for one in self._script(name).versions:
            if one.id == version:
                return one
        raise NotThereError(404, 10211, "This version does not exist.")

    def _deploy(self, name: str, share: dict[str, float]) -> None:
        self.scripts[name].deployments.insert(0, share)
        self.log.append((name, share))
        self.after_deployment(name, share)

    def _deployment(self, share: dict[str, float], number: int) -> dict[str, Any]:
        return {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{sorted(share)}{number}")),
            "source": "wrangler",
            "strategy": "percentage",
            "author_email": "dev@example.com",
            "created_on": (datetime(2026, 11, 1, tzinfo=UTC) + timedelta(minutes=number)).isoformat(),
            "annotations": {},
            "versions": [{"version_id": version, "percentage": percentage} for version, percentage in share.items()],
        }

    def _assets_session(self, manifest: dict[str, Any]) -> dict[str, Any]:
        if len(manifest) > self.max_assets:
            raise NotThereError(400, 10304, f"Maximum number of assets is {self.max_assets}, but {len(manifest)} were given.")
        token = _token(str(len(self._manifests)))
        self._manifests[token] = tuple(sorted(manifest))
        self._last_token = token
        return {"jwt": token, "buckets": [[row["hash"] for row in manifest.values()]] if manifest else []}

    def _upload(self, name: str, kind: str, body: bytes) -> Version:
        if self.refused:
            raise NotThereError(400, 10021, self.refused)
        form = BytesParser().parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
        named = {str(part.get_param("name", header="content-disposition")): part for part in form.walk() if part is not form}
        metadata = json.loads(str(named.pop("metadata").get_payload()))
        token = (metadata.get("assets") or {}).get("jwt", "")
        script = self.scripts.setdefault(name, Script(name))
        number = len(script.versions) + 1
        version = Version(
            id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name}/{number}")),
            number=number,
            modules=tuple(sorted(str(module) for module in named)),
            metadata=metadata,
            assets=self._manifests.get(token, ()),
            created_on=self._now(),
        )
        script.versions.append(version)
        return version

    def _now(self) -> str:
        self._seconds += 1
        return (datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=self._seconds)).isoformat()


def _token(name: str) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"name": name}).encode()).decode().rstrip("=")
    return f"e30.{claims}.c2ln"
