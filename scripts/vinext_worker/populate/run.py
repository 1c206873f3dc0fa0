"""A run: it sends entries in batches, several at a time, and records each batch in the journal once it is confirmed."""

from __future__ import annotations

import asyncio
import random
import resource
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seed.build import Skipped
from vinext_worker.errors import UserError
from vinext_worker.populate.populator import CannotEncodeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from seed.entries import SeedItem
    from vinext_worker.populate.journal import Journal
    from vinext_worker.populate.populator import Parcel, Populator
    from vinext_worker.populate.report import PopulateReport

_ROUNDS = 5
# Doubled in each round.
_ROUND_WAIT_SECONDS = 0.5
_TURN_EVERY = 16


@dataclass(frozen=True)
class RunOptions:
    """`verify` is the number of entries to read back; `batch_entries` lowers the populator's limit; `dry_run` sends nothing."""

    verify: int = 0
    batch_entries: int | None = None
    dry_run: bool = False


async def populate(  # noqa: PLR0913, PLR0917 - the parts of a run
    items: AsyncIterator[SeedItem],
    populator: Populator,
    journal: Journal,
    report: PopulateReport,
    options: RunOptions,
    on_progress: Callable[[PopulateReport], None] = lambda _: None,
) -> None:
    """Put entries into a cache, and fill `report`, also if an error ends the run.

    Raises RemoteError if the target refuses or cannot be reached. Entries that were confirmed by then are in the journal.
    """
    run = _Run(populator, journal, report, options, on_progress)
    started, computed = time.monotonic(), time.process_time()
    try:
        await run.write(items)
        await run.verify()
    except UserError:
        await run.settle()
        raise
    finally:
        await run.stop()
        report.seconds = time.monotonic() - started
        report.cpu_seconds = time.process_time() - computed
        report.peak_bytes = _peak_bytes()
        on_progress(report)


class _Run:
    def __init__(
        self,
        populator: Populator,
        journal: Journal,
        report: PopulateReport,
        options: RunOptions,
        on_progress: Callable[[PopulateReport], None],
    ) -> None:
        limits = populator.limits
        self._populator = populator
        self._journal = journal
        self._report = report
        self._options = options
        self._on_progress = on_progress
        self._max_parcels = min(limits.max_parcels, options.batch_entries or limits.max_parcels)
        self._max_bytes = min(limits.max_bytes, limits.batch_bytes)
        # A batch with one large entry may be larger than usual; then fewer batches are in flight.
        self._budget = limits.in_flight * limits.batch_bytes
        self._in_flight = limits.in_flight
        self._tasks: dict[asyncio.Task[None], int] = {}
        self._sample: list[Parcel] = []
        self._sampled_from = 0
        # Not for secrets: it chooses the entries to read back.
        self._random = random.Random()  # noqa: S311

    async def write(self, items: AsyncIterator[SeedItem]) -> None:
        batch: list[Parcel] = []
        size = 0
        now = time.time()
        turn = 0
        async for item in items:
            if isinstance(item, Skipped):
                self._report.skipped.add(item.path, item.reason)
                continue
            try:
                parcels = self._populator.encode(item)
            except CannotEncodeError as error:
                self._report.skipped.add(item.path, f"{item.artifact.value}: {error}")
                continue
            turn += 1
            if turn % _TURN_EVERY == 0:
                # So that the batches in flight proceed while the next one is made.
                await asyncio.sleep(0)
            for parcel in parcels:
                if not self._is_wanted(parcel, now):
                    continue
                # The commas and brackets around a pair count too.
                parcel_size = len(parcel.payload) + 2
                if batch and (len(batch) >= self._max_parcels or size + parcel_size > self._max_bytes):
                    await self._start(batch, size)
                    batch, size, now = [], 0, time.time()
                batch.append(parcel)
                size += parcel_size
        if batch:
            await self._start(batch, size)
        while self._tasks:
            await self._one_done()

    async def verify(self) -> None:
        for parcel in self._sample:
            wrong = await self._populator.verify(parcel)
            self._report.verified += 1
            if wrong is not None:
                self._report.wrong.add(parcel.key, wrong)

    async def settle(self) -> None:
        """Wait for the batches in flight, so that those that succeed are recorded and the next run does not send them again."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def stop(self) -> None:
        """Cancel the batches in flight."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _is_wanted(self, parcel: Parcel, now: float) -> bool:
        self._report.entries += 1
        self._take_sample(parcel)
        if self._journal.has(parcel, now):
            self._report.unchanged += 1
            return False
        return not self._options.dry_run

    def _take_sample(self, parcel: Parcel) -> None:
        """Give each entry the same chance to be in the sample (reservoir sampling)."""
        self._sampled_from += 1
        if len(self._sample) < self._options.verify:
            self._sample.append(parcel)
        elif (place := self._random.randrange(self._sampled_from)) < self._options.verify:
            self._sample[place] = parcel

    async def _start(self, batch: list[Parcel], size: int) -> None:
        while self._tasks and (len(self._tasks) >= self._in_flight or sum(self._tasks.values()) + size > self._budget):
            await self._one_done()
        self._tasks[asyncio.create_task(self._send(batch))] = size

    async def _one_done(self) -> None:
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            del self._tasks[task]
            task.result()
        self._on_progress(self._report)

    async def _send(self, batch: list[Parcel]) -> None:
        for turn in range(_ROUNDS):
            if turn:
                await asyncio.sleep(_ROUND_WAIT_SECONDS * 2 ** (turn - 1))
            unwritten = await self._populator.send(batch)
            written = [parcel for parcel in batch if parcel.key not in unwritten]
            self._journal.add(written, time.time())
            self._report.written += len(written)
            self._report.written_bytes += sum(len(parcel.payload) for parcel in written)
            batch = [parcel for parcel in batch if parcel.key in unwritten]
            if not batch:
                return
        for parcel in batch:
            self._report.failed.add(parcel.key, unwritten[parcel.key])


def _peak_bytes() -> int:
    """Return this process's peak memory. On Linux, `getrusage` would include the parent's memory at the time of the fork."""
    with suppress(OSError):
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
