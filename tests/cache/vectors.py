"""What vinext's own code gave: see data/generate.mjs, and the note in vectors.json."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, cast

DATA = Path(__file__).parent / "data"
VINEXT = Path(__file__).parents[1] / "fixtures" / "vinext"


@cache
def vectors() -> dict[str, Any]:
    return cast("dict[str, Any]", _read(VINEXT / "vectors.json"))


@cache
def functions(of: str) -> list[tuple[Any, Any]]:
    return [(row["in"], row["out"]) for row in rows("functions") if row["of"] == of]


@cache
def rows(name: str) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", _read(DATA / f"{name}.json"))


@cache
def kv_dump(version: str) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", _read(VINEXT / version / "kv-dump.json")["entries"])


@cache
def seed_dump() -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", _read(VINEXT / "0.0.38" / "seed-dump.json")["entries"])


def _read(path: Path) -> Any:
    return json.loads(path.read_text())
