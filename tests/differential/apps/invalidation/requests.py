"""revalidateTag with and without a profile, tags of every spelling, and pages that become something else."""

import json

from tests.differential.client import payload
from tests.differential.script import Ask, Pause, Put, Script, Visit, visit


def _clear(**what: str) -> Ask:
    headers = {"Content-Type": "application/json"}
    return Ask("/api/clear", "POST", headers, json.dumps(what).encode())


def _stale(page: str, path: str) -> Visit:
    return visit(
        f"tags of {page}",
        Ask(path),
        Ask(path).settled(),
        Put(page, "new"),
        _clear(tag=page, profile="max"),
        Ask(path),
        Pause(0.6),
        Ask(path).settled(),
        Put(page, "newer"),
        _clear(tag={"cached": "item:1", "fetched": "item:2", "usecache": "item:3"}[page]),
        Ask(path),
        Ask(path).settled(),
        Put(page, "newest"),
        _clear(path=path),
        Ask(path),
        payload(path).settled(),
    )


def _becomes(kind: str, name: str, value: str) -> Visit:
    page = f"/{kind}/{name}"
    key = f"{'moves' if kind == 'moves' else 'post'}-{name}"
    return visit(
        f"{page} becomes {value}",
        Ask(page).just_renewed() if name == "built" else Ask(page),
        Ask(page).settled(),
        payload(page).settled(),
        Put(key, value),
        Pause(2.2),
        Ask(page),
        Pause(0.6),
        Ask(page).settled(),
        payload(page),
        Put(key, "back"),
        Pause(2.2),
        payload(page),
        Pause(0.6),
        payload(page).settled(),
        Ask(page).settled(),
    )


SCRIPT = Script(
    visits=[
        _stale("cached", "/cached"),
        _stale("fetched", "/fetched/new"),
        _stale("usecache", "/usecache"),
        _becomes("moves", "new", "moved"),
        _becomes("moves", "built", "moved"),
        _becomes("posts", "new", "gone"),
        _becomes("posts", "built", "gone"),
        visit("a page that never was", Ask("/posts/other"), Ask("/posts/other").settled(), Ask("/missing"), Ask("/missing")),
    ],
)
