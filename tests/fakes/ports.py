"""The clock, the background work and the log of `vinext.testing`."""

from __future__ import annotations

from vinext.testing.ports import START_MS, FakeBackground, FakeClock, FakeLog

__all__ = ["START_MS", "FakeBackground", "FakeClock", "FakeLog"]
