"""Whether a series of samples grows: its slope, and the error of the slope."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_MIN_SAMPLES = 5
_ERRORS = 2
_MAX_CORRELATION = 0.95


@dataclass(frozen=True)
class Growth:
    """The slope of a series, and twice its standard error, in units of the series a request."""

    slope: float
    error: float

    @property
    def is_seen(self) -> bool:
        """Whether there is more growth than the samples' own fluctuation gives."""
        return self.slope > self.error

    @property
    def at_most(self) -> float:
        """The growth that the samples do not rule out."""
        return max(0.0, self.slope + self.error)


def growth(requests: Sequence[float], samples: Sequence[float]) -> Growth:
    """Return how the second half of a series grows with the number of requests.

    A line of least squares. Memory rises and falls in waves, so a sample is like the one before it and says less than one of
    its own would: the error is widened by what the neighbouring residuals have in common. Raises ValueError for too few samples.
    """
    half = len(samples) // 2
    x, y = requests[half:], samples[half:]
    if len(y) < _MIN_SAMPLES:
        raise ValueError(f"{len(samples)} samples; a slope with its error needs {2 * _MIN_SAMPLES - 1}")
    middle, level = math.fsum(x) / len(x), math.fsum(y) / len(y)
    spread = math.fsum((at - middle) ** 2 for at in x)
    slope = math.fsum((at - middle) * (sample - level) for at, sample in zip(x, y, strict=True)) / spread
    residuals = [sample - level - slope * (at - middle) for at, sample in zip(x, y, strict=True)]
    squares = math.fsum(residual**2 for residual in residuals)
    if squares == 0:
        return Growth(slope, 0.0)
    neighbours = math.fsum(one * other for one, other in pairwise(residuals)) / squares
    shared = min(max(neighbours, 0.0), _MAX_CORRELATION)
    error = math.sqrt(squares / (len(y) - 2) / spread * (1 + shared) / (1 - shared))
    return Growth(slope, _ERRORS * error)
