from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class BuiltSite:
    """A site's build, as vinext and Cloudflare's Vite plugin lay it out; that of a Python site is laid out likewise."""

    root: Path
    vinext_version: str
    """"none" for a Python site."""
    server_config: Path
    """The wrangler.json of the built Worker; its `main` and `assets.directory` are relative to its folder."""
    client_directory: Path
    """The static files."""
    manifest: Path
    """vinext-prerender.json: which routes were pre-rendered."""
    artifacts_directory: Path
    """The folder prerendered-routes: what they were rendered to."""
