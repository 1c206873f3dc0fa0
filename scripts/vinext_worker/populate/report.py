from __future__ import annotations

from dataclasses import dataclass, field

MAX_SHOWN = 1000


@dataclass
class Faults:
    """The faults of single entries: the first thousand with their reasons, and the number of all."""

    first: list[tuple[str, str]] = field(default_factory=list)
    count: int = 0

    def add(self, name: str, reason: str) -> None:
        self.count += 1
        if len(self.first) < MAX_SHOWN:
            self.first.append((name, reason))

    def to_document(self) -> dict[str, object]:
        return {"count": self.count, "first": [{"name": name, "reason": reason} for name, reason in self.first]}


@dataclass
class PopulateReport:
    """The result of a run. `failed` are entries that could not be written, `skipped` are pages that have no entry."""

    target: str
    build_id: str
    entries: int = 0
    written: int = 0
    unchanged: int = 0
    written_bytes: int = 0
    seconds: float = 0
    cpu_seconds: float = 0
    """The processor time of this process in that time."""
    peak_bytes: int = 0
    """The peak memory of the process."""
    verified: int = 0
    skipped: Faults = field(default_factory=Faults)
    failed: Faults = field(default_factory=Faults)
    wrong: Faults = field(default_factory=Faults)
    """The verified entries that differ from what was written."""

    @property
    def is_complete(self) -> bool:
        """Whether every entry is in the cache, as far as the run knows."""
        return self.failed.count == 0 and self.wrong.count == 0

    @property
    def rate(self) -> float:
        """Entries per second."""
        return self.entries / self.seconds if self.seconds else 0.0

    def to_document(self) -> dict[str, object]:
        return {
            "target": self.target,
            "buildId": self.build_id,
            "complete": self.is_complete,
            "entries": self.entries,
            "written": self.written,
            "unchanged": self.unchanged,
            "writtenBytes": self.written_bytes,
            "seconds": round(self.seconds, 3),
            "entriesPerSecond": round(self.rate, 1),
            "cpuSeconds": round(self.cpu_seconds, 3),
            "peakBytes": self.peak_bytes,
            "verified": self.verified,
            "skipped": self.skipped.to_document(),
            "failed": self.failed.to_document(),
            "wrong": self.wrong.to_document(),
        }
