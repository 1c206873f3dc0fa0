"""A dataset of Analytics Engine (the protocol of `isr.analytics`)."""

from __future__ import annotations

from typing import Any

import js


class DatasetBinding:
    """A dataset by the raw binding."""

    def __init__(self, dataset: Any) -> None:
        # One text crosses into JavaScript faster than its parts.
        self.make = js.JSON.parse
        self.write = dataset.writeDataPoint
