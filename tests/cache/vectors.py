"""What vinext's own code gave: see data/generate.mjs, and the note in vectors.json."""

from __future__ import annotations

import base64
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cache.entry import AppPageValue, AppRouteValue, FetchValue, ImageValue, PagesValue, RedirectValue
from cache.stored import key_hash
from core.body import BytesBody, text_body

if TYPE_CHECKING:
    from cache.entry import CacheValue

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


def without_key(stored: bytes, name: str) -> bytes:
    """Return a value as vinext would have stored it: without the field at its end, which vinext ignores."""
    ours = f',"keyHash":"{key_hash(name)}"}}'.encode()
    assert stored.endswith(ours)
    return stored.removesuffix(ours) + b"}"


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


def value_of(document: dict[str, Any] | None) -> CacheValue | None:  # noqa: PLR0911 - one for each kind
    """A value from the JSON of the generated inputs and of the seed dump."""
    if document is None:
        return None
    fields = {name: item for name, item in document.items() if name != "kind"}
    for name in ("rscData", "body", "buffer"):
        if name in fields:
            fields[name] = BytesBody(base64.b64decode(fields[name]["$base64"]))
    if "html" in fields:
        fields["html"] = text_body(fields["html"])
    match document["kind"]:
        case "APP_PAGE":
            known = {name: fields.pop(name) for name in ("html", "headers", "postponed", "status") if name in fields}
            return AppPageValue(rsc_data=fields.pop("rscData", None), **known, extra=fields)
        case "PAGES":
            flag = fields.pop("generatedFromDataRequest", None)
            return PagesValue(page_data=fields.pop("pageData"), generated_from_data_request=flag, **fields)
        case "APP_ROUTE":
            return AppRouteValue(**fields)
        case "REDIRECT":
            return RedirectValue(**fields)
        case "IMAGE":
            return ImageValue(**fields)
        case _:
            return FetchValue(**{**fields.pop("data"), **fields, "tags": tuple(fields["tags"])})
