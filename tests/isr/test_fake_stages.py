"""The fake app in stages behaves as the adapter does: both are run through the same cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.pages import FakeResponse, dynamic, page, payload
from tests.fakes.requests import request
from tests.fakes.stages import FakeStages, doing

from pages.stages import Question, StagedAnswer

if TYPE_CHECKING:
    from pages.stages import Resource, Step

CASES = json.loads((Path(__file__).parents[1] / "fixtures" / "stages" / "exchanges.json").read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
async def test_the_fake_app_behaves_as_the_adapter_does(case: dict[str, Any]) -> None:
    stage, (offer, *replies) = case["stage"], case["offers"]
    rule = doing(
        own=FakeResponse(stage["own"]) if "own" in stage else None,
        rewrite=stage.get("rewrite"),
        key_path=stage.get("keyPath"),
        part=stage.get("part"),
        has_no_period=stage.get("hasNoPeriod", False),
        is_personal=stage.get("isPersonal", False),
        unknown=stage.get("unknown"),
    )
    given = page() if stage.get("isShared", True) else dynamic()
    pages = FakeStages({"/a": given, "/b": given}, {"/a": payload()}, rules={"/a": rule})
    method = stage.get("method", "GET")
    step: Step = await pages.serve(request("/a", method=method), json.dumps(offer) if offer else "")
    for expected, reply in zip(case["steps"], [*replies, None], strict=True):
        assert await shown(step, expected) == expected
        if reply is not None:
            assert isinstance(step, Question)
            step = await step.resume(json.dumps(reply))


async def shown(step: Step, expected: dict[str, Any]) -> dict[str, Any]:
    """What a step says, as far as `expected` does."""
    if isinstance(step, Question):
        return {"asks": shown_resource(step.resource), **({} if step.is_storable else {"isStorable": False})}
    assert isinstance(step, StagedAnswer)
    said: dict[str, Any] = {"unknown": step.unknown}
    said |= {name: shown_resource(getattr(step, name)) for name in ("made", "missed", "dynamic")}
    if step.replay is not None:
        said["replays"] = True
    if step.is_hit:
        said |= {"isHit": True, "status": step.response.status}
    if "header" in expected:
        said["header"] = step.response.header("x-own")
    if step.admitted is not None:
        said["admits"] = await step.admitted() is not None
    return {name: value for name, value in said.items() if value is not None}


def shown_resource(resource: Resource | None) -> list[str] | None:
    return None if resource is None else [resource.path, resource.part, resource.tag_path]
