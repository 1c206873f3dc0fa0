"""The decorator that keeps the results of a function, and the JSON of its arguments and results.

The arguments are part of a key, and the results are stored.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from cache.entry import CacheEntry, FetchValue, Freshness, freshness
from cache.handler import GetContext
from cache.tags import encode_tag, merge_tags
from core.body import parse_json
from core.errors import CorruptValueError, InvalidArgumentError
from core.javascript import json_text
from datacache.context import current_data_cache
from pages.policy import Rendering, current_rendering, rendering_as, require_periods, require_valid_tags

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from datacache.context import DataCache
    from pages.policy import Revalidate

P = ParamSpec("P")
R = TypeVar("R")

# Beyond this, two whole numbers may be the same one in JavaScript (ECMA-262, 21.1.2.6).
_MAX_INTEGER = 2**53 - 1

_MAX_DEPTH = 100

_ARRAY_INDICES = range(2**32 - 1)
_MAX_DIGITS = 10

_BY_POSITION = frozenset({inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD})
_BY_NAME = frozenset({inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD})

_ALLOWED = "JSON values: None, booleans, finite numbers, strings, and lists and dicts of those"


def cached(
    key_parts: Sequence[str] | None = None,
    *,
    tags: Iterable[str] | str = (),
    revalidate: Revalidate = None,
    source: str | None = None,
) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R]]]:
    """Keep the results of an async function, each under its arguments.

    `key_parts` and `source` distinguish functions; without them, the function's module and name do. Entries are those of
    vinext's `unstable_cache`: with schema v1 under `key_parts`, with v2 under `key_parts` and `source`, the text of the
    JavaScript function. A result lives for `revalidate` seconds (None or False: until one of `tags` is invalidated, or as
    `cache_life()` in the function says). A stale result is returned at once and regenerated in the background; calls at
    the same time share one run. Arguments and results are JSON: a tuple comes back as a list. Raises InvalidArgumentError
    at once for a wrong value, and on a call with values that JSON cannot carry. Outside of a request the function is only
    called.
    """
    require_periods("cached", revalidate, None)
    if revalidate is not None and revalidate is not False and revalidate == 0:
        raise InvalidArgumentError("cached.revalidate", revalidate, "seconds above 0, False or None; 0 would keep nothing")
    own_tags = require_valid_tags("cached", tags)
    if key_parts is not None and (isinstance(key_parts, str) or not all(isinstance(part, str) for part in key_parts)):
        raise InvalidArgumentError("cached.key_parts", key_parts, "a list of strings")

    def decorate(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        if not inspect.iscoroutinefunction(function):
            raise InvalidArgumentError("cached", function, "an async function; decorators below this one must return one too")
        parts = None if key_parts is None else tuple(key_parts)
        work = CachedFunction(function, parts, source, own_tags, revalidate)

        @functools.wraps(function)
        async def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            return cast("R", await work.call(args, kwargs))

        return wrapper

    return decorate


class CachedFunction:
    """A function with the key and the terms under which its results are kept."""

    def __init__(
        self,
        function: Callable[..., Awaitable[Any]],
        key_parts: tuple[str, ...] | None,
        source: str | None,
        tags: tuple[str, ...],
        revalidate: Revalidate,
    ) -> None:
        self._function = function
        self._name = f"{function.__module__}.{function.__qualname__}"
        self._key_parts = key_parts
        self._source = self._name if source is None else source
        self._tags = tags
        self._seconds = None if revalidate is None or revalidate is False else revalidate

    @functools.cached_property
    def _signature(self) -> inspect.Signature:
        # Not made with the function: its annotations may name what stands further down in the module.
        return inspect.signature(self._function)

    async def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        arguments = call_arguments(self._signature, self._name, args, kwargs)
        page = current_rendering()
        path = None if page is None else page.path
        cache = current_data_cache()
        run = partial(self._run, args, kwargs, path)
        if cache is None:
            made = await run()
            self._note(page, made.tags, made.seconds, made.expire, is_no_store=made.is_no_store)
            return read_result(made.body)
        key = cache.key(self._source, self._key_parts, arguments)
        make = partial(self._make, cache, key, run)
        soft_tags = cache.soft_tags(path)
        kept = None if self._seconds == 0 else await self._find(cache, key, soft_tags)
        if kept is not None:
            entry, result = kept
            is_stale = freshness(entry, cache.runtime.clock()) is Freshness.STALE
            # A page that is rendered for the cache would keep the stale value for its whole period.
            if not (is_stale and page is not None and page.is_for_cache):
                if is_stale:
                    cache.runtime.run_once(f"refresh {key}", make, f"refreshing {self._name}")
                    if page is not None:
                        page.is_of_stale_data = True
                self._note(page, entry.tags, entry.revalidate_seconds, entry.expire_seconds)
                return result
        made = await self._fresh(cache, key, soft_tags, make)
        self._note(page, made.tags, made.seconds, made.expire, is_no_store=made.is_no_store)
        return read_result(made.body)

    async def _find(self, cache: DataCache, key: str, soft_tags: tuple[str, ...]) -> tuple[CacheEntry, object] | None:
        # The write may end while the store is asked.
        unwritten = cache.unwritten.get(key)
        try:
            entry = await cache.entries.read(key, GetContext(soft_tags, self._seconds))
            unwritten = cache.unwritten.get(key, unwritten)
            if unwritten is not None:
                entry = await cache.newer(unwritten, entry, soft_tags, self._seconds)
            if entry is not None and (others := self._tags_beside(entry)):
                entry = await cache.after_invalidations(entry, others)
        except Exception as error:  # noqa: BLE001 - no error of a cache handler may fail a request
            cache.runtime.log.event("error", "cache.read_failed", key=key, error=str(error))
            return None
        if entry is None or not isinstance(entry.value, FetchValue):
            return None
        try:
            return entry, read_result(entry.value.body)
        except ValueError as error:
            cache.runtime.log.event("warning", "data.unreadable", key=key, function=self._name, error=str(error))
            return None

    async def _fresh(self, cache: DataCache, key: str, soft_tags: tuple[str, ...], make: Callable[[], Awaitable[_Made]]) -> _Made:
        """Return the result of a run that began after every invalidation before this call: its own, or one to join."""
        is_own = False

        async def make_own() -> _Made:
            nonlocal is_own
            is_own = True
            return await make()

        made = await cache.runtime.flight.run(f"data {key}", make_own)
        if is_own or not await self._is_outdated(cache, key, soft_tags, made):
            return made
        # Whichever run is under way now has begun after this call.
        return await cache.runtime.flight.run(f"data {key}", make)

    async def _is_outdated(self, cache: DataCache, key: str, soft_tags: tuple[str, ...], made: _Made) -> bool:
        try:
            tags = merge_tags(self._tags, made.tags, soft_tags)
            return await cache.entries.invalidation(tags, made.started_at_ms) is not None
        except Exception as error:  # noqa: BLE001 - no error of a cache handler may fail a request
            cache.runtime.log.event("error", "cache.read_failed", key=key, error=str(error))
            return True

    async def _make(self, cache: DataCache, key: str, run: Callable[[], Awaitable[_Made]]) -> _Made:
        started_at_ms = cache.runtime.clock()
        made = replace(await run(), started_at_ms=started_at_ms)
        if made.is_no_store or not made.is_kept:
            return made
        revalidate = False if made.seconds is None else made.seconds
        tags = cache.stored_tags(made.tags)
        value = FetchValue(headers={}, body=made.body, url=key, tags=tags, revalidate=revalidate)
        entry = CacheEntry.make(value, tags, started_at_ms, revalidate, made.expire)
        await cache.write(key, entry, f"keeping a result of {self._name}")
        return made

    async def _run(self, args: tuple[Any, ...], kwargs: dict[str, Any], path: str | None) -> _Made:
        """Call the function for the page at `path`; the tags and periods of data that it uses count for its own result."""
        # The result is for the cache, so it waits for fresh data: no invalidation would reach it, which is dated after them.
        learnt = Rendering(path, is_for_cache=True)
        with rendering_as(learnt):
            result = await self._function(*args, **kwargs)
        is_kept = not isinstance(result, NotKept)
        body = result_body(self._name, result.result if isinstance(result, NotKept) else result)
        periods = (self._seconds, learnt.revalidate_seconds, learnt.longest_seconds, learnt.expire_seconds)
        shortest = min((seconds for seconds in periods if seconds is not None), default=math.inf)
        return _Made(
            body=body,
            tags=merge_tags(self._tags, learnt.tags),
            seconds=None if math.isinf(shortest) else shortest,
            expire=learnt.expire_seconds,
            is_no_store=learnt.is_no_store,
            is_kept=is_kept and shortest > 0,
        )

    def _tags_beside(self, entry: CacheEntry) -> tuple[str, ...]:
        """Return the function's own tags that an entry does not carry: another function, or an earlier one, has stored it."""
        return tuple(tag for tag in self._tags if tag not in entry.tags and encode_tag(tag) not in entry.tags)

    def _note(
        self,
        page: Rendering | None,
        tags: tuple[str, ...],
        seconds: float | None,
        expire: float | None,
        *,
        is_no_store: bool = False,
    ) -> None:
        """Add the tags and the periods of data to the page, or to the cached function around."""
        if page is not None:
            page.add_tags((*self._tags, *tags))
            page.limit(seconds, expire)
            page.is_no_store = page.is_no_store or is_no_store


class NotKept:
    """A result that is returned to the caller and not kept."""

    def __init__(self, result: object) -> None:
        self.result = result


def call_arguments(signature: inspect.Signature, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[object]:
    """Return the arguments of a call, by position where the signature takes them so; the rest in a mapping at the end.

    Different calls have different arguments: one that is left out before a given one has its default, and where a mapping may
    be of either kind, one at the end is of those by name, empty if there are none. Mappings have their keys in the order of a
    JavaScript object, as in the keys of `unstable_cache`. Raises TypeError for a call that the function does not take, and
    InvalidArgumentError for values that JSON cannot carry.
    """
    bound = signature.bind(*args, **kwargs)
    if kwargs:
        given_last = next(reversed(bound.arguments))
        for parameter in takewhile(lambda parameter: parameter.name != given_last, signature.parameters.values()):
            if parameter.kind in _BY_POSITION:
                bound.arguments.setdefault(parameter.name, parameter.default)
    for argument, value in bound.arguments.items():
        require_json(f"{argument} of {name}", value)
    arguments = list(bound.args if kwargs else args)
    named = bound.kwargs if kwargs else {}
    if named or (arguments and isinstance(arguments[-1], Mapping) and _takes_both(signature)):
        arguments.append(named)
    return [_in_javascript_order(argument) for argument in arguments]


def result_body(name: str, value: object) -> str:
    """Return a result as `unstable_cache` keeps it; raises InvalidArgumentError for a value that JSON cannot carry."""
    require_json(f"the result of {name}", value)
    return json_text({"v": value})


def read_result(body: str) -> object:
    """Return the result in a body, None for JavaScript's `undefined`; raises ValueError for a body without a result."""
    try:
        document = parse_json(body)
    except CorruptValueError as error:
        raise ValueError(str(error)) from error
    if not isinstance(document, dict) or not {"v", "undef"} & document.keys():
        raise ValueError("the body has neither v nor undef")
    return None if "undef" in document else document["v"]


def require_json(where: str, value: object, depth: int = 0) -> None:
    """Raise InvalidArgumentError, naming `where`, for a value that would come back changed, or not at all."""
    if depth > _MAX_DEPTH:
        raise InvalidArgumentError(where, "…", f"{_ALLOWED}, at most {_MAX_DEPTH} deep")
    if value is None or isinstance(value, bool | str):
        return
    if isinstance(value, int | float):
        _require_number(where, value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidArgumentError(f"a key in {where}", key, "a string")
            require_json(where, item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            require_json(where, item, depth + 1)
    else:
        raise InvalidArgumentError(where, value, _ALLOWED)


@dataclass(frozen=True)
class _Made:
    """The outcome of a run: plain data, which the requests that waited for the run read too."""

    body: str
    tags: tuple[str, ...]
    seconds: float | None
    expire: float | None
    is_no_store: bool
    is_kept: bool
    started_at_ms: int = 0


def _takes_both(signature: inspect.Signature) -> bool:
    """Return whether a function takes any number of arguments by position, and others by name alone."""
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    return inspect.Parameter.VAR_POSITIONAL in kinds and not kinds.isdisjoint(_BY_NAME)


def _in_javascript_order(value: object) -> object:
    """Return the value with array indices first and ascending among the keys of its mappings (ECMA-262, 10.1.11.1)."""
    if isinstance(value, Mapping):
        keys = (*sorted(filter(_is_array_index, value), key=int), *(key for key in value if not _is_array_index(key)))
        return {key: _in_javascript_order(value[key]) for key in keys}
    return list(map(_in_javascript_order, value)) if isinstance(value, list | tuple) else value


def _is_array_index(key: str) -> bool:
    return key.isascii() and key.isdigit() and str(int(key[:_MAX_DIGITS])) == key and int(key) in _ARRAY_INDICES


def _require_number(where: str, number: float) -> None:
    if isinstance(number, int):
        if abs(number) > _MAX_INTEGER:
            raise InvalidArgumentError(where, number, "whole numbers of at most 53 bits; send larger ones as text")
    elif not math.isfinite(number):
        raise InvalidArgumentError(where, number, _ALLOWED)
