"""Whether a token may write what a deploy writes: tried by requests that change nothing.

Cloudflare tells what a token may do only to tokens that may read tokens.
Source: https://developers.cloudflare.com/api/resources/user/subresources/tokens/
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from vinext_worker.cloudflare.client import Cloudflare
from vinext_worker.cloudflare.kv_namespace import CACHE_BINDING
from vinext_worker.errors import RemoteError

if TYPE_CHECKING:
    from vinext_worker.cloudflare.login import Login
    from vinext_worker.cloudflare.wrangler_config import WranglerConfig

_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_NO_SUCH_KEY = "__vinext-worker/preflight"


def write_faults(config: WranglerConfig, login: Login) -> list[str]:
    """Return what the token in the environment may not write. Whatever else goes wrong shows where it is needed."""
    try:
        return asyncio.run(_write_faults(config, login))
    except RemoteError:
        return []


async def _write_faults(config: WranglerConfig, login: Login) -> list[str]:
    account = f"/accounts/{quote(login.account, safe='')}"
    # An upload of no assets begins, and ends by itself.
    session = f"{account}/workers/scripts/{quote(config.name, safe='')}/assets-upload-session"
    tries: list[tuple[str, str, tuple[bytes, ...], str]] = [("POST", session, (b'{"manifest":{}}',), "Workers Scripts")]
    if (namespace := config.kv_namespaces.get(CACHE_BINDING)) is not None:
        # A key that was never there is deleted.
        key = f"{account}/storage/kv/namespaces/{quote(namespace, safe='')}/values/{quote(_NO_SUCH_KEY, safe='')}"
        tries.append(("DELETE", key, (), "Workers KV Storage"))
    async with Cloudflare.from_environment() as cloudflare:
        answers = await asyncio.gather(*(cloudflare.send(method, path, parts=parts) for method, path, parts, _ in tries))
    return [
        f"the {login.kind} may read {what} and not write; give it {what}: Edit"
        for answer, (_, _, _, what) in zip(answers, tries, strict=True)
        if answer.status_code in _REFUSED
    ]
