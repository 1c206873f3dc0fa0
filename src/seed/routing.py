"""The file that the adapter writes beside a build's manifest: the app's rules, and the headers of its pages."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from core.http import Period
from core.paths import normalize_path
from seed.build import ManifestError
from seed.i18n import I18n
from seed.rules import STAGES_VERSION, Rule, touching_rule

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ROUTING_NAME = "vinext-worker-routing.json"
ROUTING_VERSION = 1


@dataclass(frozen=True)
class Routing:
    """What comes before the cache of a build: `rules`, and the headers that next.config puts on each pre-rendered page.

    `header_sets` have names in lower case; `header_set_numbers` says by the path in the manifest which of them a page has.
    `stages`, `routers` and `i18n` are as in `seed.build.Build`; no `routers` means that the build does not tell.
    `periods` are those of the pages of the Pages Router, by their keys without a build ID. `adapter` is the adapter's version.
    `images` and `base_path` are those of next.config; a `base_path` of None means that the build does not tell.
    """

    rules: tuple[Rule, ...] = ()
    header_sets: tuple[Mapping[str, str], ...] = ()
    header_set_numbers: Mapping[str, int] = field(default_factory=dict)
    stages: int = 0
    routers: tuple[str, ...] = ()
    i18n: I18n | None = None
    periods: Mapping[str, Period] = field(default_factory=dict)
    adapter: str = ""
    images: Mapping[str, Any] = field(default_factory=dict)
    base_path: str | None = None

    @classmethod
    def from_json(cls, text: bytes, build_id: str, where: str) -> Routing:
        """Read the file that the adapter writes. Raises ManifestError, naming `where`, for anything else, or another build's."""
        try:
            document = json.loads(text)
            if document["version"] != ROUTING_VERSION or document["buildId"] != build_id:
                raise ManifestError(f"{where} is not of this build, or of another version of the adapter; build the site again")
            sets = [{str(name).lower(): str(value) for name, value in given.items()} for given in document["headers"]["sets"]]
            numbers = {str(path): range(len(sets))[number] for path, number in document["headers"]["paths"].items()}
            rules = map(Rule.from_document, document["rules"])
            lower = tuple(replace(rule, path=normalize_path(rule.path).lower()) for rule in rules)
            routers = tuple(map(str, document.get("routers", ())))
            i18n = I18n.from_document(document.get("i18n"))
            periods = {
                str(key).replace(f":{build_id}:", ":", 1): _period(given) for key, given in document.get("periods", {}).items()
            }
            stages, adapter = int(document.get("stages", 0)), str(document.get("adapter", ""))
            images = dict(document.get("images") or {})
            base_path = None if (given := document.get("basePath")) is None else str(given)
            return cls(lower, tuple(sets), numbers, stages, routers, i18n, periods, adapter, images, base_path)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
            raise ManifestError(f"{where} cannot be read ({error!r}); build the site again") from error

    def headers_of(self, path: str) -> Mapping[str, str]:
        """Return the headers that next.config puts on a page, by its path in the manifest."""
        number = self.header_set_numbers.get(path)
        return {} if number is None else self.header_sets[number]

    def touching(self, path: str) -> Rule | None:
        """Return a rule that may touch a page, by its path in the manifest; None if no rule does."""
        return touching_rule(self.rules, normalize_path(path))


def _period(given: Any) -> Period:
    revalidate, expire = given["revalidate"], given.get("expire")
    if revalidate is False or revalidate is None:
        return Period(None, None)
    return Period(_seconds(revalidate), None if expire is None else _seconds(expire))


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        message = f"{value!r} is no number of seconds"
        raise TypeError(message)
    return value


UNKNOWN_ROUTING = Routing((Rule("/", is_prefix=True, name="the build does not tell its rules"),))


def read_routing(folder: Path, build_id: str) -> Routing | None:
    """Read the file of the build in a folder, None if its adapter has written none.

    Raises ManifestError for a file that cannot be read, is of another build, or is by an adapter that this Worker does not know.
    """
    file = folder / ROUTING_NAME
    try:
        routing = Routing.from_json(file.read_bytes(), build_id, str(file))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ManifestError(f"{file} cannot be read ({error.strerror})") from error
    if routing.stages not in {0, STAGES_VERSION}:
        raise ManifestError(
            f"{file} is by vinext-worker-adapter {routing.adapter}, which speaks version {routing.stages} of the exchange with "
            f"vinext-worker, and this is version {STAGES_VERSION}; install both in one version, and build again"
        )
    return routing
