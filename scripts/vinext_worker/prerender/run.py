"""Rendering a Python site's pages in the local runtime, and writing them as a build with vinext's manifest and artifacts."""

from __future__ import annotations

import asyncio
import errno
import json
import secrets
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httpx2 as httpx

from core.errors import described
from core.http import OUTCOME_HEADER
from core.paths import PATHS_URL, url_path
from seed.build import ARTIFACTS_FOLDER, MANIFEST_NAME, Artifact, ManifestError
from seed.manifest import parse_route
from seed.routes import artifact_files
from vinext_worker.copy.static_folders import public_files
from vinext_worker.errors import ImportFailedError, UserError
from vinext_worker.local_runtime import LocalRuntime, RuntimeOptions
from vinext_worker.sites.files import remove_others, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vinext_worker.local_runtime.runtime import OnLog
    from vinext_worker.sites.python_project import PythonProject
    from vinext_worker.tools import Tools

_PAGE_SECONDS = 120
_ROUTERS = {Artifact.HTML.value: "app", Artifact.ROUTE.value: "metadata"}


@dataclass(frozen=True)
class PrerenderReport:
    """The result of a run; `skipped` and `failed` pair paths with the reasons."""

    build_id: str
    rendered: int
    skipped: tuple[tuple[str, str], ...]
    failed: tuple[tuple[str, str], ...]


def prerender_site(  # noqa: PLR0913 - the parameters of a run, each by its name
    project: PythonProject,
    tools: Tools,
    *,
    paths: Sequence[str] | None,
    concurrency: int,
    on_page: Callable[[str], object],
    on_log: OnLog | None = None,
    may_be_empty: bool = False,
) -> PrerenderReport:
    """Render the pages at `paths`, by default those of the site's `static_paths()`, and write them below the site's `dist`.

    With `may_be_empty` a site without that function has no such pages; otherwise it is an error. Raises UserError if the site
    does not start, or if the paths cannot be listed. A page that fails is in the report.
    """
    if project.config.assets is not None:
        project.config.assets.directory.mkdir(parents=True, exist_ok=True)
    options = RuntimeOptions(
        config=project.config,
        tools=tools,
        variables={"VINEXT_PRERENDER": "on"},
        vendored=project.packages,
        # No state is kept from one run to the next, or shared with the site that is being served.
        state=None,
    )
    try:
        with LocalRuntime(options, on_log=on_log) as runtime:
            run = PrerenderRun(project, runtime.direct_url, concurrency, on_page, may_be_empty=may_be_empty)
            return asyncio.run(run.run(paths))
    except ImportFailedError as error:
        raise ImportFailedError(f"the code of {project.root} does not start:\n{error}") from error


class PrerenderRun:
    """Renders a site's pages in a Worker at `url`, which runs with VINEXT_PRERENDER on."""

    def __init__(
        self, project: PythonProject, url: str, concurrency: int, on_page: Callable[[str], object], *, may_be_empty: bool
    ) -> None:
        self._folder = project.build_directory
        self._root = project.root
        self._static_files = project.static_files
        self._url = url
        self._turn = asyncio.Semaphore(concurrency)
        self._on_page = on_page
        self._may_be_empty = may_be_empty
        self._kept: set[str] = set()

    async def run(self, paths: Sequence[str] | None) -> PrerenderReport:
        build_id = secrets.token_hex(8)
        async with httpx.AsyncClient(base_url=self._url, trust_env=False, timeout=_PAGE_SECONDS) as client:
            if paths is None:
                paths = await self._listed(client)
            self._require_no_files(paths)
            rows = await asyncio.gather(*(self._page(client, path) for path in dict.fromkeys(map(url_path, paths))))
        rendered = [row["path"] for row in rows if row["status"] == "rendered"]
        manifest = {
            "buildId": build_id,
            "trailingSlash": False,
            "routes": rows,
            "pregeneratedConcretePaths": rendered,
        }
        # The manifest last: an interrupted run leaves the previous manifest in place, and artifacts that nothing names yet.
        write_atomically(self._folder / MANIFEST_NAME, json.dumps(manifest, ensure_ascii=False, indent=1).encode())
        remove_others(self._folder / ARTIFACTS_FOLDER, self._kept.__contains__)
        return PrerenderReport(build_id, len(rendered), _reasons(rows, "skipped", "reason"), _reasons(rows, "error", "error"))

    def _require_no_files(self, paths: Sequence[str]) -> None:
        """Raise UserError for a page at the path of a static file, which would be served instead; Next.js refuses it, too."""
        files = frozenset(public_files(self._static_files))
        both = next((path for path in map(url_path, paths) if path in files), None)
        if both is not None:
            raise UserError(f"{both} is a page, and {self._static_files} has a file of that path; rename one")

    async def _listed(self, client: httpx.AsyncClient) -> Sequence[str]:
        outcome, body = await _ask(client, PATHS_URL)
        if "skipped" in outcome and self._may_be_empty:
            return []
        reason = outcome.get("error") or outcome.get("skipped")
        if reason:
            raise UserError(f"the pages of {self._root} are not known: {reason}; fix that, or list the paths with --paths FILE")
        listed: list[str] = json.loads(body)
        return listed

    async def _page(self, client: httpx.AsyncClient, path: str) -> dict[str, Any]:
        async with self._turn:
            outcome, body = await _ask(client, path)
        row = self._row(path, outcome, body)
        self._on_page(path)
        return row

    def _row(self, path: str, outcome: dict[str, Any], body: bytes) -> dict[str, Any]:
        row: dict[str, Any] = {"route": unquote(path), "path": path, "router": "app"}
        for status, name in (("error", "error"), ("skipped", "skipped")):
            if name in outcome:
                return row | {"status": status, "reason" if status == "skipped" else "error": outcome[name]}
        row |= {
            "status": "rendered",
            "router": _ROUTERS[outcome["artifact"]],
            "revalidate": False if outcome["revalidate"] is None else outcome["revalidate"],
            "tags": outcome["tags"],
            "headers": outcome["headers"],
        }
        if outcome["expire"] is not None:
            row["expire"] = outcome["expire"]
        if outcome["status"] != HTTPStatus.OK:
            row["responseStatus"] = outcome["status"]
        try:
            files = artifact_files(parse_route(row), trailing_slash=False)
        except ManifestError as error:
            return {"route": row["route"], "path": path, "router": "app", "status": "error", "error": str(error)}
        name = files[Artifact(outcome["artifact"])]
        try:
            write_atomically(self._folder / ARTIFACTS_FOLDER / name, body)
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            reason = "its path is too long for the name of a file"
            return {"route": row["route"], "path": path, "router": "app", "status": "skipped", "reason": reason}
        self._kept.add(name)
        return row


async def _ask(client: httpx.AsyncClient, path: str) -> tuple[dict[str, Any], bytes]:
    try:
        # Raw, because the client would encode the path again.
        answer = await client.get(httpx.URL(client.base_url, raw_path=path.encode()))
    except httpx.HTTPError as error:
        return {"error": described(error)}, b""
    if OUTCOME_HEADER not in answer.headers:
        return {"error": f"status {answer.status_code} and no page"}, b""
    outcome: dict[str, Any] = json.loads(unquote(answer.headers[OUTCOME_HEADER]))
    return outcome, answer.content


def _reasons(rows: Sequence[dict[str, Any]], status: str, field: str) -> tuple[tuple[str, str], ...]:
    return tuple((row["path"], row[field]) for row in rows if row["status"] == status)
