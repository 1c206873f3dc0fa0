"""The hosts of this machine, and requests to them."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


def is_local(url: str) -> bool:
    """Return whether a URL is one of this machine."""
    return urlsplit(url).hostname in LOCAL_HOSTS


def ask_this_machine_directly() -> None:
    """Let no proxy see what is sent to this machine, tokens among it, whatever HTTP_PROXY says; also for tools that we start."""
    spared = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    hosts = dict.fromkeys(filter(None, (*spared.split(","), *sorted(LOCAL_HOSTS))))
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(hosts)
