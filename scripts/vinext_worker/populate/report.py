from __future__ import annotations

from dataclasses import dataclass, field

MAX_SHOWN = 1000


@dataclass
class Faults:
    """What went wrong with single entries: the first thousand with their reasons, and how many there are."""

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
    """What a run did. `failed` are entries that should be in the cache and are not, `skipped` pages that have no entry."""

    target: str
    build_id: str
    entries: int = 0
    written: int = 0
    unchanged: int = 0
    written_bytes: int = 0
    seconds: float = 0
    cpu_seconds: float = 0
    """What this process computed in that time."""
    peak_bytes: int = 0
    """The most memory the process had."""
    verified: int = 0
    skipped: Faults = field(default_factory=Faults)
    failed: Faults = field(default_factory=Faults)
    wrong: Faults = field(default_factory=Faults)
    """Of those verified."""

    @property
    def is_complete(self) -> bool:
        """Whether every entry is in the cache, as far as the run knows."""
        return self.failed.count == 0 and self.wrong.count == 0

    @property
    def rate(self) -> float:
        """Entries a second."""
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
