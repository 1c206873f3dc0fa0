"""An app in stages, as the adapter for vinext makes it: its request stage asks for a page, and the page cache answers or not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tests.fakes.pages import FakePages, FakeResponse

from core.body import BytesBody
from pages.handler import PageError, WholeResponse
from pages.request import NO_HEADERS, PageRequest
from pages.stages import Question, Resource, StagedAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fakes.pages import Line

    from pages.request import RenderRequest
    from pages.stages import Step

MISS = "MISS"


@dataclass(frozen=True)
class Stage:
    """What the request stage does with a request.

    `own` is its own response. Otherwise it asks for a page: for that at `rewrite`, None if at the URL's path; under `key_path`
    in the cache, which a rewrite keeps; for the `part` of it. With `has_no_period` that is a route handler's answer, which is
    made for each request alone. It `adds` headers to the response. With `changes_request` the visitor's cookies or headers are
    not those that middleware passes on, so that no response to this request is kept; with `is_personal` none is kept at all;
    `unknown` is a version of the stages that the adapter does not know.
    """

    own: FakeResponse | Exception | None = None
    rewrite: str | None = None
    key_path: str | None = None
    part: str | None = None
    has_no_period: bool = False
    adds: Mapping[str, str] = field(default_factory=dict)
    changes_request: bool = False
    is_personal: bool = False
    unknown: str | None = None


PLAIN = Stage()

Rule = Callable[["PageRequest"], Stage]


@dataclass
class FakeStages(FakePages):
    """FakePages in stages. `rules` by path are what the request stage does; of other paths it asks for the page there.

    `variants` are payloads by `path part`. One that `is_wary` shares nothing that it has made for a visitor with cookies, as
    vinext does with route handlers. With `defers`, a response leaves before it is known whether it may be kept.
    `faults` by path take the place of what the adapter gives: an exception to raise, or a step.
    """

    rules: dict[str, Rule] = field(default_factory=dict)
    variants: dict[str, Line] = field(default_factory=dict)
    is_wary: bool = False
    defers: bool = False
    faults: dict[str, Exception | Callable[[], Step]] = field(default_factory=dict)
    served: list[tuple[PageRequest, str]] = field(default_factory=list)
    questions: list[Resource] = field(default_factory=list)
    stage_rendered: list[Resource] = field(default_factory=list)

    def staged(self) -> FakeStages:
        return self

    async def serve(self, request: PageRequest, offer: str) -> Step:
        """See pages.stages.StagedPages."""
        self.served.append((request, offer))
        fault = self.faults.get(request.path)
        if isinstance(fault, Exception):
            raise fault
        if fault is not None:
            return fault()
        stage = self.stage_of(request)
        if isinstance(stage.own, Exception):
            raise stage.own
        if stage.own is not None:
            return StagedAnswer(stage.own)
        resource = _resource(request, stage)
        if stage.is_personal or stage.unknown is not None:
            return StagedAnswer(await self._response(resource, stage), unknown=stage.unknown)
        return await self._offered(request, stage, resource, offer)

    def stage_of(self, request: PageRequest) -> Stage:
        rule = self.rules.get(request.path.removesuffix(".rsc"))
        return PLAIN if rule is None else rule(request)

    async def answer(self, request: PageRequest) -> FakeResponse:
        """Answer as a whole: the request stage and the response stage, and nothing that may be kept."""
        self.answered.append(request)
        stage = self.stage_of(request)
        if isinstance(stage.own, Exception):
            raise stage.own
        if stage.own is not None:
            return stage.own
        response = await self._response(_resource(request, stage), stage)
        return replace(response, headers={**response.headers, "cache-control": "no-store, must-revalidate"})

    async def render(self, request: RenderRequest) -> FakeResponse | WholeResponse:  # type: ignore[override]
        """Render for the cache, with both artifacts."""
        self.rendered.append(request)
        if request.replay is None:
            rule = self.rules.get(request.path)
            part = None if rule is None else rule(PageRequest("GET", request.origin, request.path, "", NO_HEADERS)).part
            rendered = await self._with_counterpart(Resource(request.path, "rsc" if request.rsc else "html", request.path))
            return _named(rendered, part)
        described = json.loads(request.replay)
        resource = Resource.of(described)
        rendered = _named(await self._with_counterpart(resource), resource.part)
        return await self._kept(rendered) or WholeResponse(rendered.status, tuple(rendered.headers.items()), None)

    async def _offered(self, request: PageRequest, stage: Stage, resource: Resource, offer: str) -> Step:
        given = json.loads(offer) if offer else {}
        is_offered = (given.get("path"), given.get("part")) == (resource.path, resource.part)
        if stage.has_no_period and not (is_offered and "status" in given):
            return StagedAnswer(await self._response(resource, stage), dynamic=resource)
        if not is_offered:
            self.questions.append(resource)
            is_storable = _is_storable(request, stage)
            return Question(resource, lambda reply: self._offered(request, stage, resource, reply), is_storable=is_storable)
        replay = json.dumps({"path": resource.path, "part": resource.part, "tagPath": resource.tag_path})
        if "status" in given:
            headers = {name.lower(): ", ".join(values) for name, values in given["headers"].items()}
            response = FakeResponse(given["status"], {**headers, **stage.adds})
            return StagedAnswer(response, is_hit=True, replay=replay if given.get("isStale") else None)
        if not _is_storable(request, stage):
            return StagedAnswer(await self._response(resource, stage), missed=resource, replay=replay)
        rendered = await self._with_counterpart(resource)
        if self.is_wary and request.headers.get("cookie") is not None:
            rendered = replace(rendered, headers={**rendered.headers, "cache-control": "no-store, must-revalidate"})
        sent = _composed(rendered, stage)
        if self.defers:
            sent = replace(sent, headers={**sent.headers, "cache-control": "no-store, must-revalidate"})
        kept = rendered
        if given.get("isUnruled"):
            kept = replace(rendered, headers={**sent.headers, **rendered.headers}, added=tuple(stage.adds.items()))
        return StagedAnswer(sent, made=resource, replay=replay, admitted=lambda: self._kept(_named(kept, resource.part)))

    async def _response(self, resource: Resource, stage: Stage) -> FakeResponse:
        return _composed(await self._rendered(resource), stage)

    async def _rendered(self, resource: Resource) -> FakeResponse:
        self.stage_rendered.append(resource)
        if ":" in resource.part:
            return await self._play(f"{resource.tag_path} {resource.part}", self.variants)
        return await self._play(resource.tag_path, self.payloads if resource.part == "rsc" else self.documents)

    async def _with_counterpart(self, resource: Resource) -> FakeResponse:
        rendered = await self._rendered(resource)
        if not _is_shared(rendered) or rendered.header("vary") is None or ":" in resource.part:
            return rendered
        other = await self._play(resource.tag_path, self.documents if resource.part == "rsc" else self.payloads)
        if not _is_shared(other) or (resource.part == "rsc" and other.status != HTTPStatus.OK):
            return rendered  # vinext renders no document beside the payload of a redirect, or of what is not found
        return replace(rendered, counterpart=BytesBody(other.body))

    async def _kept(self, rendered: FakeResponse) -> WholeResponse | None:
        if rendered.breaks_off:
            raise PageError("the body broke off")
        if not _is_shared(rendered):
            return None
        body = BytesBody(rendered.body)
        return WholeResponse(rendered.status, tuple(rendered.headers.items()), body, rendered.counterpart, rendered.added)


def _named(rendered: FakeResponse, part: str | None) -> FakeResponse:
    """The response as the adapter gives it to be kept: that of a route handler says so."""
    return replace(rendered, headers={**rendered.headers, "x-vinext-artifact": "route"}) if part == "route" else rendered


def _resource(request: PageRequest, stage: Stage) -> Resource:
    path = request.path.removesuffix(".rsc")
    is_rsc = path != request.path or request.headers.get("rsc") == "1"
    if request.kept_as is not None:
        path, is_rsc = request.kept_as.path, request.kept_as.rsc
    page = stage.rewrite or path
    return Resource(stage.key_path or page, stage.part or ("rsc" if is_rsc else "html"), page)


def _is_storable(request: PageRequest, stage: Stage) -> bool:
    return not stage.changes_request and request.method == "GET" and request.headers.get("authorization") is None


def _composed(rendered: FakeResponse, stage: Stage) -> FakeResponse:
    state = {"x-vinext-cache": MISS} if _is_shared(rendered) else {}
    return replace(rendered, headers={**rendered.headers, **state, **stage.adds})


def _is_shared(response: FakeResponse) -> bool:
    return "s-maxage" in (response.header("cache-control") or "")


def adding(**headers: str) -> Rule:
    """Middleware that only adds headers; an underscore in a name is a hyphen."""
    stage = Stage(adds={name.replace("_", "-"): text for name, text in headers.items()})
    return lambda _request: stage


def doing(**fields: Any) -> Rule:
    """A rule that does the same with each request."""
    stage = Stage(**fields)
    return lambda _request: stage
