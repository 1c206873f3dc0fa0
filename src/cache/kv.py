"""Entries in Workers KV, in the format of vinext's own handlers."""

from __future__ import annotations

import asyncio
import copy
import math
from collections.abc import Coroutine
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from cache.entry import Freshness, freshness, stale_after
from cache.failures import LOST_WRITES
from cache.handler import DEFAULT_GET, EntryCache
from cache.invalidation import GONE, Invalidation, is_stale_period
from cache.keys import KeySchema, kv_key, kv_last_invalidation_key, kv_last_stale_key, kv_stale_key, kv_tag_key
from cache.kv_markers import KVMarkers
from cache.kv_namespace import KV_LIMITS, is_too_soon, listed_tags
from cache.kv_record import TTLPolicy, kv_record
from cache.look import Look, Missing, Unserved
from cache.marker_writer import RETRY_FOR_MS, WRITE_EVERY_MS
from cache.markers import Stamper
from cache.r2 import LostBodyError
from cache.stored import Codec, Layout
from cache.tags import TagFilter, is_valid_tag, merge_tags, prefix_tags
from core.arguments import require_count, require_text
from core.body import ArrivingBody
from core.errors import (
    BrokenBodyError,
    CorruptValueError,
    InvalidArgumentError,
    InvalidationError,
    OtherKeyError,
    ValueTooLargeError,
    described,
)
from core.log import SILENT_LOG
from core.paths import normalize_path
from core.recent import Recent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from cache.entry import CacheEntry, CacheValue
    from cache.handler import GetContext, SetContext
    from cache.kv_namespace import KVNamespace, StoreLimits
    from cache.kv_record import KVRecord
    from cache.look import Mark
    from cache.shared_markers import SharedMarkers
    from core.log import Log
    from core.runtime import Background, Clock

_MARKER_CAPACITY = 10_000

# R2 takes one write a second for a key, too. A little more, because clocks differ.
_AGAIN_MS = WRITE_EVERY_MS + 100

T = TypeVar("T")


class KVCacheHandler(EntryCache):
    """A cache in a KV namespace that a vinext Worker may share, or in another store (`cache.r2`) of other `limits`.

    `app_prefix` keeps the apps of one namespace apart. Markers are remembered for `tag_cache_ms`, and hold against content
    that another isolate made up to `clock_skew_ms` after them. Any exception of the namespace, a TimeoutError too, makes a
    read a miss.

    Only this project reads the framed layout, so nobody else is expected to invalidate anything there: most markers are
    then not read, because nothing was invalidated at all (see KVMarkers).

    `shared` brings invalidations to other isolates, and from them, at once. It is for whoever reads to follow it.
    """

    def __init__(  # noqa: PLR0913 - settings, each by its name
        self,
        namespace: KVNamespace,
        *,
        clock: Clock,
        background: Background,
        limits: StoreLimits = KV_LIMITS,
        app_prefix: str = "",
        schema: KeySchema = KeySchema.V2,
        layout: Layout = Layout.VINEXT,
        ttl: TTLPolicy = TTLPolicy.THIRTY_DAYS,
        tag_cache_ms: int = 5000,
        clock_skew_ms: int = 0,
        log: Log = SILENT_LOG,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        shared: SharedMarkers | None = None,
    ) -> None:
        for argument, value, kind in (("schema", schema, KeySchema), ("layout", layout, Layout), ("ttl", ttl, TTLPolicy)):
            if not isinstance(value, kind):
                allowed = ", ".join(f"{kind.__name__}.{member.name}" for member in kind)
                raise InvalidArgumentError(argument, value, allowed)
        require_count("tag_cache_ms", tag_cache_ms)
        require_count("clock_skew_ms", clock_skew_ms)
        require_text("app_prefix", app_prefix)
        self._namespace = namespace
        self._limits = limits
        self._prefix = app_prefix
        self._last_invalidation_key = kv_last_invalidation_key(app_prefix)
        self._schema = schema
        self._ttl = ttl
        self._codec = Codec(layout, schema)
        self._is_alone = layout is Layout.FRAMED
        self._clock = clock
        self._background = background
        self._sleep = sleep
        self._log = log
        self._tags = TagFilter(log, schema)
        self._markers = KVMarkers(
            namespace,
            clock=clock,
            sleep=sleep,
            log=log,
            keep_ms=tag_cache_ms,
            clock_skew_ms=clock_skew_ms,
            capacity=_MARKER_CAPACITY,
            last=self._last_invalidation_key,
            last_stale=kv_last_stale_key(app_prefix),
        )
        self._shared = shared
        if shared is not None:
            shared.learners.append(self._learn)

    @cached_property
    def _own_writes(self) -> Recent[str, _OwnWrite]:
        return Recent()

    @cached_property
    def _stamper(self) -> Stamper:
        return Stamper(self._clock, self._tags, self._newest_marker)

    async def read(self, key: str, asked: GetContext = DEFAULT_GET) -> CacheEntry | None:
        """Read an entry; see EntryCache."""
        name = kv_key(key, self._prefix)
        try:
            entry = await self._read(name, asked)
        except Exception as error:  # noqa: BLE001 - any failure of the store is a miss
            self._failed("cache.read_failed", name, error)
            return None
        return None if entry is None else stale_after(entry, asked.revalidate_seconds)

    def observer(self) -> EntryCache:
        """Return a view; see EntryCache."""
        observer = copy.copy(self)
        observer._markers = self._markers.observer()  # noqa: SLF001 - a copy of this very object
        observer._background = _NO_WORK  # noqa: SLF001
        return observer

    async def look(self, key: str) -> tuple[Look, ...]:
        """Return what is in the store; see EntryCache. Only an `observer` remembers nothing of it."""
        name, form = kv_key(key, self._prefix), self._codec.layout.value
        try:
            found = await self._find(name, DEFAULT_GET)
            kept = found.entry if isinstance(found, Missing) else found
            marks = () if kept is None else await self.marks(kept.tags)
        except Exception as error:  # noqa: BLE001 - any failure of the store is a miss
            return (Look("store", reason=Unserved.STORE_FAILED, name=name, form=form, error=described(error)),)
        if not isinstance(found, Missing):
            return (Look("store", found, None, kept, name, form, marks=marks),)
        error_text = "" if found.error is None else described(found.error)
        return (Look("store", None, found.reason, kept, name, form, error_text, marks),)

    async def marks(self, tags: Iterable[str]) -> tuple[Mark, ...]:
        """Return the invalidations in the store; see EntryCache."""
        valid = self._tags.valid(tags)
        keys = zip(valid, self._tag_keys(valid), self._stale_keys(valid), strict=True)
        return await self._markers.marks(list(keys))

    async def set_new(self, key: str, value: CacheValue | None, context: SetContext) -> None:
        """Write a value; see EntryCache."""
        entry = self._stamper.entry(value, context)
        if entry is None:
            return
        if context.last_modified_ms is None:
            self._markers.note_made(entry.last_modified_ms)
        await self._write(key, entry)

    async def write(self, key: str, entry: CacheEntry) -> None:
        """Write an entry; see EntryCache."""
        self._markers.note_made(entry.last_modified_ms)
        await self._write(key, self._tags.with_valid_tags(entry))

    async def invalidate(self, tags: Iterable[str], expire_seconds: float | None = None) -> tuple[str, ...]:
        """Invalidate by tags; see EntryCache."""
        return await self._invalidate(self._tags.valid(tags), expire_seconds)

    async def invalidate_below(self, prefix: str) -> tuple[str, ...]:
        """Invalidate tags that every page at or below `prefix` carries, stored or not, then those that a listing shows.

        The listing finds the entries that carry none of the former by their metadata; it reads those whose tags were too
        long for metadata.
        """
        written = merge_tags(prefix_tags(self._schema, prefix), prefix_tags(self._schema, normalize_path(prefix)))
        unwritten = await self._invalidate(self._tags.valid(written))
        try:
            known = frozenset(filter(is_valid_tag, written))
            listed = await listed_tags(self._namespace, self._prefix, prefix, known, self._tags_of)
        except Exception as error:
            raise InvalidationError(written, f"the entries below {prefix} could not be listed: {error}") from error
        return (*unwritten, *await self._invalidate(listed))

    async def invalidation(self, tags: Iterable[str], since_ms: int) -> Invalidation | None:
        """Return what has become of content; see EntryCache."""
        names = tuple(tags)
        try:
            asked_ms = self._clock()
            if await self._has_settled(since_ms, asked_ms):
                return None
            valid = self._tags.valid(names)
            if await self._has_invalidated(self._tag_keys(valid), since_ms):
                return GONE
            return await self._stale(valid, since_ms, asked_ms)
        except Exception as error:  # noqa: BLE001 - an entry in doubt must not be served
            self._failed("cache.markers_failed", ", ".join(names), error)
            return GONE

    def forget_reads(self) -> None:
        """Forget the markers that were read; see EntryCache."""
        self._markers.forget_read()

    async def _read(self, name: str, asked: GetContext) -> CacheEntry | None:
        found = await self._find(name, asked)
        if not isinstance(found, Missing):
            return found
        if found.reason is Unserved.OTHER_KEY and found.error is not None:
            self._failed("cache.entry_of_other_key", name, found.error)
        elif found.reason is Unserved.CORRUPT and found.error is not None:
            self._failed("cache.entry_corrupt", name, found.error)
            self._delete(name)
        elif found.reason in {Unserved.INVALIDATED, Unserved.EXPIRED}:
            if found.reason is Unserved.INVALIDATED:
                self._log.event("debug", "cache.entry_invalidated", key=name)
            # vinext's own handler beside this one goes on only if it is gone. Otherwise the next one takes its place: a removal
            # could remove that one, which this location may not see yet.
            if not self._is_alone:
                self._delete(name)
        return None

    async def _find(self, name: str, asked: GetContext) -> CacheEntry | Missing:  # noqa: PLR0911 - a reason a line
        """Return the entry for a reader, or why there is none. Nothing changes in the store."""
        asked_ms = self._clock()
        try:
            entry = await self._stored(name, streamed=asked.streamed)
        except OtherKeyError as error:
            return Missing(Unserved.OTHER_KEY, error=error)
        except CorruptValueError as error:
            return Missing(Unserved.CORRUPT, error=error)
        if entry is None:
            return Missing(Unserved.ABSENT)
        if await self._has_settled(entry.last_modified_ms, asked_ms):
            own = soft = None
        else:
            own, soft = await self._invalidations(entry, asked)
        if own is GONE:
            return Missing(Unserved.INVALIDATED, entry)
        if own is not None:
            entry = own.of(entry)
        if freshness(entry, self._clock()) is Freshness.EXPIRED:
            return Missing(Unserved.EXPIRED, entry)
        if soft is None:
            return entry
        # For other readers it stays.
        return Missing(Unserved.ABSENT, entry) if soft is GONE else soft.of(entry)

    async def _invalidations(self, entry: CacheEntry, asked: GetContext) -> tuple[Invalidation | None, Invalidation | None]:
        """Return what has become of an entry by its own tags, and by the reader's."""
        since_ms, asked_ms = entry.last_modified_ms, self._clock()
        soft_tags = self._tags.valid(asked.soft_tags)
        soft_keys = self._tag_keys(soft_tags)
        is_softly_invalid = await self._has_invalidated(soft_keys, since_ms)
        if await self._has_invalidated(self._keys_of_tags(entry), since_ms):
            return GONE, None
        own = soft = None
        if self._may_be_stale(since_ms, asked_ms):
            soft = await self._stale(soft_tags, since_ms, asked_ms)
            own = await self._stale(tuple(filter(is_valid_tag, entry.tags)), since_ms, asked_ms)
            if self._markers.has_own(self._keys_of_tags(entry), since_ms):
                own = GONE
        # This isolate may have invalidated a tag while it read the other markers.
        if is_softly_invalid or self._markers.has_own(soft_keys, since_ms):
            soft = GONE
        return own, soft

    async def _stored(self, name: str, *, streamed: bool) -> CacheEntry | None:
        """Read a stored entry, None where there is none; raises CorruptValueError.

        The time of the last invalidation is read at the same time if it is not known: most entries need no other marker.
        """
        streamed, last = streamed and self._is_alone, self._last_if_alone
        if last is None or self._markers.knows(last):
            stored = await self._namespace.get(name, streamed=streamed)
        else:
            asked_ms = self._clock()
            stored, texts = await self._namespace.get_beside(name, (last,), streamed=streamed)
            self._markers.note_read(last, texts.get(last), asked_ms)
        return None if stored is None else await self._codec.read_value(stored, name)

    async def _write(self, key: str, entry: CacheEntry) -> None:
        name = kv_key(key, self._prefix)
        own = self._markers.own
        # Most isolates invalidate nothing; then the keys of the tags are of no use.
        if not own.is_empty and own.has_invalidated(self._tag_keys(entry.tags), entry.last_modified_ms):
            self._log.event("debug", "cache.write_invalidated", key=name)
            return
        try:
            record = kv_record(entry, self._codec, self._ttl, name, self._limits)
        except ValueTooLargeError as error:
            limits = {"size_bytes": error.size_bytes, "limit_bytes": error.limit_bytes}
            self._log.event("warning", "cache.value_too_large", key=name, **limits)
            return
        await self._background.finish(self._put(name, record), f"write {name}")

    async def _put(self, name: str, record: KVRecord) -> None:
        """Write a record. One that comes too soon after this isolate's own last write of the key is written a second later.

        What another isolate has written within that second is as new as this one, so then it is lost.
        """
        last, this = self._last_write(name), self._note_write(name)
        error = await _failure(self._putting(name, record))
        if error is None:
            return
        if is_too_soon(error) and this.at_ms - last.at_ms < _AGAIN_MS and not _is_arriving(record):
            self._background.run(self._put_again(name, record, this), f"write {name} again")
            return
        self._lost(name, error)
        LOST_WRITES.note(described(error))

    async def _put_again(self, name: str, record: KVRecord, write: _OwnWrite) -> None:
        """Write a record when it may be, unless there is a newer one by then."""
        await self._sleep(_AGAIN_MS / 1000)
        if self._last_write(name) is write and (error := await _failure(self._putting(name, record))) is not None:
            self._lost(name, error)

    def _putting(self, name: str, record: KVRecord) -> Awaitable[None]:
        return self._namespace.put(name, record.parts, expiration_ttl=record.expiration_ttl, metadata=record.metadata)

    def _last_write(self, name: str) -> _OwnWrite:
        return self._own_writes.get(name, _NO_WRITE)

    def _note_write(self, name: str) -> _OwnWrite:
        write = self._own_writes[name] = _OwnWrite(self._clock())
        return write

    def _lost(self, name: str, error: Exception) -> None:
        """Say that the store did not take a write or a removal."""
        if is_too_soon(error):
            self._log.event("info", "cache.write_too_soon", key=name)
        else:
            self._failed("cache.write_failed", name, error)

    async def _invalidate(self, tags: tuple[str, ...], expire_seconds: float | None = None) -> tuple[str, ...]:
        """Invalidate valid tags. Return those whose markers are not written yet, which is tried again in the background."""
        if not tags:
            return ()
        at_ms = self._stamper.invalidation_ms()
        if expire_seconds is not None and is_stale_period(expire_seconds):
            keys, invalidation = self._stale_keys(tags), Invalidation.stale(at_ms, expire_seconds)
        else:
            keys, invalidation = self._tag_keys(tags), Invalidation.gone(at_ms)
        telling = self._tell(dict(zip(keys, tags, strict=True)), self._markers.with_times(keys, invalidation), invalidation)
        unwritten = await self._background.finish(telling, f"invalidate {', '.join(tags)}")
        return tuple(tag for tag, key in zip(tags, keys, strict=True) if key in unwritten)

    async def _tell(
        self, tags: Mapping[str, str], invalidations: Mapping[str, Invalidation], invalidation: Invalidation
    ) -> frozenset[str]:
        """Tell other isolates, and return the keys of which they will not learn yet. `tags` are by the keys of their markers."""
        writing = self._write_markers(invalidations, tags)
        if self._shared is None:
            return await writing
        unwritten, is_noted = await asyncio.gather(writing, self._shared.note(tuple(tags.values()), invalidation))
        return frozenset() if is_noted else unwritten

    async def _write_markers(self, invalidations: Mapping[str, Invalidation], tags: Mapping[str, str]) -> frozenset[str]:
        """Write markers, and return the keys of those that are not written yet, which is tried again in the background."""
        unwritten = await self._markers.write(invalidations)
        if unwritten:
            names = ", ".join(unwritten)
            rest = {key: invalidations[key] for key in unwritten}
            self._background.run(self._write_rest(rest, tags), f"write {names}", RETRY_FOR_MS)
        return frozenset(unwritten)

    async def _write_rest(self, invalidations: Mapping[str, Invalidation], tags: Mapping[str, str]) -> None:
        if self._shared is not None and await self._shared.queue(invalidations, tags):
            self._markers.leave(invalidations)
        else:
            await self._markers.write_rest(invalidations)

    def _learn(self, tags: Iterable[str], invalidation: Invalidation) -> None:
        """Take note of an invalidation by another isolate."""
        self._markers.learn(self._tag_keys(tags) if invalidation.is_gone else self._stale_keys(tags), invalidation)

    async def _has_settled(self, since_ms: int, asked_ms: int) -> bool:
        return self._is_alone and await self._markers.has_settled(self._last_invalidation_key, since_ms, asked_ms)

    async def _has_invalidated(self, tag_keys: Sequence[str], since_ms: int) -> bool:
        if not tag_keys:
            return False
        last = self._last_if_alone
        if last is None:
            return await self._markers.has_invalidated(tag_keys, since_ms)
        is_invalidated = await self._markers.has_invalidated(tag_keys, since_ms, last)
        if self._markers.is_missing(last):
            # Until KV has this time, nobody can tell that nothing was invalidated.
            times = self._markers.with_times((), Invalidation.gone(self._clock()))
            self._background.run(self._write_markers(times, {}), f"write {last}")
        return is_invalidated

    async def _stale(self, tags: tuple[str, ...], since_ms: int, asked_ms: int) -> Invalidation | None:
        """Return the effect of stale invalidations of `tags`, whose markers were checked at `asked_ms` or later."""
        if not tags or not self._may_be_stale(since_ms, asked_ms):
            return None
        return await self._markers.stale(self._stale_keys(tags), since_ms, asked_ms, self._last_if_alone)

    def _may_be_stale(self, since_ms: int, asked_ms: int) -> bool:
        return self._markers.may_be_stale(since_ms, asked_ms, self._last_if_alone)

    @property
    def _last_if_alone(self) -> str | None:
        """The key of the time of the last invalidation, None where others invalidate without writing it."""
        return self._last_invalidation_key if self._is_alone else None

    async def _tags_of(self, name: str) -> tuple[str, ...]:
        """Return the tags of a stored entry: none where it is corrupt or gone."""
        try:
            entry = await self._stored(name, streamed=False)
        except (CorruptValueError, LostBodyError):
            return ()
        return () if entry is None else entry.tags

    def _delete(self, name: str) -> None:
        self._note_write(name)
        self._background.run(self._deleted(name), f"delete {name}")

    async def _deleted(self, name: str) -> None:
        error = await _failure(self._namespace.delete(name))
        if error is not None:
            self._lost(name, error)

    def _tag_keys(self, tags: Iterable[str]) -> tuple[str, ...]:
        return tuple(kv_tag_key(tag, self._prefix) for tag in tags)

    def _stale_keys(self, tags: Iterable[str]) -> tuple[str, ...]:
        return tuple(kv_stale_key(tag, self._prefix) for tag in tags)

    def _newest_marker(self, tags: tuple[str, ...]) -> int | None:
        hard, stale = self._markers.own.newest(self._tag_keys(tags)), self._markers.own_stale.newest(self._stale_keys(tags))
        return max((ms for ms in (hard, stale) if ms is not None), default=None)

    def _keys_of_tags(self, entry: CacheEntry) -> tuple[str, ...]:
        """Return the KV keys of an entry's tags, computed once for all its copies."""
        identity = entry.identity
        if identity.tag_keys_prefix != self._prefix:
            identity.tag_keys, identity.tag_keys_prefix = self._tag_keys(filter(is_valid_tag, entry.tags)), self._prefix
        return identity.tag_keys

    def _failed(self, event: str, key: str, error: Exception) -> None:
        self._log.event("error", event, key=key, error=described(error))


async def _failure(writing: Awaitable[None]) -> Exception | None:
    """Wait for a write or a removal, and return why the store did not take it."""
    try:
        await writing
    except BrokenBodyError:
        pass  # whoever had the body stored is told, and says so
    except Exception as error:  # noqa: BLE001 - any failure of the store loses the write
        return error
    return None


def _is_arriving(record: KVRecord) -> bool:
    """Return whether a body of a record can be written only once, while it arrives."""
    return any(isinstance(part, ArrivingBody) for part in record.parts)


class _OwnWrite(NamedTuple):
    """A write of this isolate, or a removal, by when it began."""

    at_ms: float


_NO_WRITE = _OwnWrite(-math.inf)


class _NoWork:
    """Background work of a view: none of it is done."""

    def run(self, work: Awaitable[object], what: str, limit_ms: int | None = None) -> None:
        """Drop the work."""
        del what, limit_ms
        if isinstance(work, Coroutine):
            work.close()

    async def finish(self, work: Coroutine[object, object, T], what: str) -> T:
        """Refuse the work: a view only looks."""
        self.run(work, what)
        raise RuntimeError(f"a view of a cache cannot {what}")


_NO_WORK = _NoWork()
