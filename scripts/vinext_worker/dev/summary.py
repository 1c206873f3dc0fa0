"""What `dev` says at its end: how the cache did, which requests were slow, and which pages were never kept, and why."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx2 as httpx
from rich.text import Text

from core.paths import ADMIN_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vinext_worker.dev.running import RunningDev
    from vinext_worker.local_runtime.logs import RequestLine

_SHOWN = 5
_FROM_CACHE = ("HIT", "STALE")
_ASK_SECONDS = 3


def summary(requests: Sequence[RequestLine], why: Callable[[str, str], str]) -> list[Text]:
    """Return the lines; `why` tells of a URL path and host why the page is not in the cache, "" if that is not known.

    A page is what has a cache state, or is HTML and was asked for by GET.
    """
    asked = [line for line in requests if not line.path.startswith(f"/{ADMIN_FOLDER}/")]
    if not asked:
        return []
    pages = [line for line in asked if line.cache or _is_page(line)]
    states = Counter(line.cache or "not kept" for line in pages)
    lines = [Text(f"requests: {len(asked)}, for pages: {len(pages)}{_states(states)}")]
    if pages:
        from_cache = sum(states[state] for state in _FROM_CACHE)
        lines.append(Text(f"from the cache: {100 * from_cache / len(pages):.0f} % of the pages"))
    slowest = sorted(asked, key=lambda line: -line.milliseconds)[:_SHOWN]
    lines.append(Text("slowest:"))
    lines += [Text(f"  {line.milliseconds:>6} ms  {line.cache or '-':<5}  {line.method} {line.path}") for line in slowest]
    kept = {_url_path(line) for line in pages if line.cache}
    never = Counter((_url_path(line), line.status) for line in pages if _url_path(line) not in kept)
    if never:
        hosts = {_url_path(line): line.host for line in pages}
        lines.append(Text("never kept:"))
        for (path, status), count in never.most_common(_SHOWN):
            lines.append(Text(f"  {count:>6} x   {status}  {path}  {why(path, hosts[path])}".rstrip()))
        if len(never) > _SHOWN:
            lines.append(Text(f"  and {len(never) - _SHOWN} others; vinext-worker why PATH tells of each"))
    return lines


def reason_of(dev: RunningDev, direct_url: str) -> Callable[[str, str], str]:
    """Return a function that asks a running Worker, past the log of requests, for the line of `why` on a URL path."""
    headers = {"Authorization": f"Bearer {dev.token}"}
    client = httpx.Client(base_url=direct_url, headers=headers, timeout=_ASK_SECONDS, trust_env=False)

    def reason(url_path: str, host: str) -> str:
        with suppress(httpx.HTTPError, ValueError, KeyError, TypeError):
            # What the Worker remembers of pages is by host: localhost is another one than 127.0.0.1.
            story = client.post(f"/{ADMIN_FOLDER}/why", json={"url": url_path}, headers={"Host": host}).json()
            return f"{story['says']} ({story['reason']})"
        return ""

    return reason


def _is_page(line: RequestLine) -> bool:
    return line.method == "GET" and line.type.lower().startswith("text/html")


def _url_path(line: RequestLine) -> str:
    path, _, query = line.path.partition("?")
    # vinext's client adds it to keep other caches apart.
    rest = "&".join(part for part in query.split("&") if part.partition("=")[0] != "_rsc")
    return f"{path}?{rest}" if rest else path


def _states(states: Counter[str]) -> str:
    return f" ({', '.join(f'{count} {state}' for state, count in states.most_common())})" if states else ""
