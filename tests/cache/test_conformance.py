from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.cache.subjects import SUBJECTS, FakeSubject

from cache.keys import KeySchema
from vinext.testing.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from vinext.testing.rules import Subject


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
async def test_handler_obeys(name: str, rule: Callable[[Subject], Awaitable[None]]) -> None:
    subject = FakeSubject(SUBJECTS[name], keeps_end=name != "kv-v1-vinext")
    if name != "memory":
        subject.schemas = (KeySchema.V1 if "v1" in name else KeySchema.V2,)
    await rule(subject)
    await subject.settle()
