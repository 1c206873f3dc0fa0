"""What whoever runs the Worker gives to all of its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cache.frozen import frozen

if TYPE_CHECKING:
    from cache.flight import SingleFlight
    from cache.ports import Background, Clock, Log


@frozen
class Runtime:
    """Single flight, background work, the time and a log; of workerd, or of a test."""

    flight: SingleFlight
    background: Background
    clock: Clock
    log: Log
