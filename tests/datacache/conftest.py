"""The data cache of a test."""

from __future__ import annotations

import pytest
from tests.fakes.data_cache import World


@pytest.fixture
async def world() -> World:
    return World()
