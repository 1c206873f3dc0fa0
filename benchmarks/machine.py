"""What the figures were made on, and how quiet it was."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

_PROBES = 20
_PROBE_STEPS = 200_000


def describe() -> dict[str, str | int | float]:
    """Processor, system and load."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    model = next(models, platform.processor())
    return {"processor": model, "cores": os.cpu_count() or 0, "system": platform.platform(), "load": round(os.getloadavg()[0], 2)}


def noise() -> float:
    """How much longer the same work takes at one time than at another: the slowest of twenty against the fastest."""
    took = []
    for _ in range(_PROBES):
        start = time.perf_counter()
        sum(range(_PROBE_STEPS))
        took.append(time.perf_counter() - start)
    return max(took) / min(took)
