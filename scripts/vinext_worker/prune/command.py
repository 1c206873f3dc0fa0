from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, TypeAlias

import click
from rich.text import Text

from cache.keys import ENTRY_PREFIX, key_build, kv_entry_prefix
from cache.stored import Codec, is_head, read_apart
from core.body import EMPTY_BODY
from core.errors import CorruptValueError
from seed.from_directory import open_directory
from vinext_worker.cloudflare.deployment import R2_BINDING, Deployment, configuration_options
from vinext_worker.cloudflare.kv_namespace import CACHE_BINDING, MAX_BULK_KEYS, RemoteNamespace, namespace_id
from vinext_worker.prune.plan import StoredBuild, plan_prune
from vinext_worker.terminal.output import Output, json_option

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from cache.entry import CacheEntry
    from cache.kv_namespace import KVWhole
    from core.body import Body
    from isr.settings import Settings
    from seed.build import Build
    from vinext_worker.cloudflare.bucket import RemoteBucket
    from vinext_worker.prune.plan import Plan

    Remote: TypeAlias = RemoteNamespace | RemoteBucket

_LOOKED_AT = 20


@click.command
@configuration_options
@click.option(
    "--keep",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    metavar="N",
    help="Keep N builds, the current one among them.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@json_option
def prune(*, config_path: Path | None, environment: str | None, keep: int, dry_run: bool, as_json: bool) -> None:
    """Remove the entries of older builds from Workers KV and R2.

    The current build is the one in the assets folder. The command keeps builds that are not older than it, and keys that name no
    build.

    \b
    Examples:
      vinext-worker prune --keep 3 --dry-run
      vinext-worker prune --keep 1 --env production
    """  # noqa: D301 - \b is click's
    deployment = Deployment.read(config_path, environment)
    output = Output(as_json)
    with output.progress("keys") as bar:
        bar.add_task("reading keys", total=None, rate=0.0)
        plan = asyncio.run(_prune(deployment, keep, dry_run=dry_run))
    output.document(
        {
            "dryRun": dry_run,
            "removed": [{"buildId": build.build_id, "entries": build.entries} for build in plan.removed],
            "kept": [{"buildId": build.build_id, "entries": build.entries, "reason": reason} for build, reason in plan.kept],
        }
    )
    _show(plan, output, dry_run=dry_run)


async def _prune(deployment: Deployment, keep: int, *, dry_run: bool) -> Plan:
    from vinext_worker.cloudflare.client import Cloudflare, find_account  # noqa: PLC0415 - brings an HTTP client with it

    build, config = (await open_directory(deployment.assets_directory)).build, deployment.config
    has_r2 = R2_BINDING in config.r2_buckets
    namespace = None if has_r2 and CACHE_BINDING not in config.kv_namespaces else namespace_id(config)
    async with AsyncExitStack() as stack:
        cloudflare = await stack.enter_async_context(Cloudflare.from_environment())
        account = await find_account(cloudflare, config)
        stores: list[Remote] = [] if namespace is None else [RemoteNamespace(cloudflare, account, namespace)]
        if has_r2:
            from vinext_worker.cloudflare.bucket import open_bucket  # noqa: PLC0415 - brings the S3 client with it

            stores.append(await stack.enter_async_context(await open_bucket(cloudflare, account, config)))
        builds = await _stored_builds(stores, deployment, build)
        plan = plan_prune(builds, deployment.build_id_of(build), build.built_at_ms, keep)
        if not dry_run and plan.removed:
            for store in stores:
                await _remove(store, deployment.settings, {stored.build_id for stored in plan.removed})
        return plan


async def _stored_builds(stores: Sequence[Remote], deployment: Deployment, build: Build) -> list[StoredBuild]:
    codec = Codec(deployment.settings.kv_layout, deployment.schema_of(build))
    counts: Counter[str] = Counter()
    samples: dict[str, list[tuple[Remote, str]]] = {}
    for store in stores:
        async for name, build_id in _named(store, deployment.settings):
            counts[build_id] += 1
            sample = samples.setdefault(build_id, [])
            if len(sample) < _LOOKED_AT:
                sample.append((store, name))
    current = deployment.build_id_of(build)
    return [
        StoredBuild(
            build_id,
            count,
            None if build_id == current else await _oldest_ms(codec, samples[build_id], build.built_at_ms),
        )
        for build_id, count in counts.items()
    ]


async def _oldest_ms(codec: Codec, sample: list[tuple[Remote, str]], current_ms: int) -> int | None:
    """Return the oldest time of the entries, up to the first entry that proves the build to be older than the current one."""
    oldest: int | None = None
    for store, name in sample:
        value = await store.get(name)
        if value is None:
            continue
        try:
            made_ms = (await _entry(codec, value, name)).last_modified_ms
        except CorruptValueError:
            continue
        oldest = made_ms if oldest is None else min(oldest, made_ms)
        if oldest < current_ms:
            break
    return oldest


async def _entry(codec: Codec, value: KVWhole, name: str) -> CacheEntry:
    """Read an entry without its body where the head is apart: the body may be in R2."""
    if value.metadata is not None and is_head(value.metadata):
        return await read_apart(value.metadata, _no_body, name)
    return await codec.read_value(value, name)


async def _no_body(_size_bytes: int | None) -> Body:
    return EMPTY_BODY


async def _named(remote: Remote, settings: Settings) -> AsyncIterator[tuple[str, str]]:
    """Yield every key that names a build, and the build."""
    tenants = settings.tenants
    for prefix in map(kv_entry_prefix, sorted(tenants.prefixes) if tenants else [settings.app_prefix]):
        async for name in remote.names(prefix):
            build_id = key_build(name.removeprefix(prefix))
            if build_id is not None:
                yield name, build_id
    # A prefix that is nothing but a label may be another app's; such entries are left to expire.
    heads = {pattern.head for pattern in tenants.patterns if pattern.head}
    for head in heads - {head for head in heads for other in heads if head != other and head.startswith(other)}:
        async for name in remote.names(head):
            tenant, colon, rest = name.partition(":")
            build_id = key_build(rest.removeprefix(ENTRY_PREFIX)) if colon and rest.startswith(ENTRY_PREFIX) else None
            if build_id is not None and tenants.makes(tenant):
                yield name, build_id


async def _remove(remote: Remote, settings: Settings, build_ids: set[str]) -> None:
    batch: list[str] = []
    async for name, build_id in _named(remote, settings):
        if build_id in build_ids:
            batch.append(name)
        if len(batch) == MAX_BULK_KEYS:
            await remote.delete_bulk(batch)
            batch = []
    if batch:
        await remote.delete_bulk(batch)


def _show(plan: Plan, output: Output, *, dry_run: bool) -> None:
    done = "would be removed" if dry_run else "removed"
    rows = [(build, f"kept: {reason}", "") for build, reason in plan.kept] + [(build, done, "yellow") for build in plan.removed]
    output.table(
        ("build", "entries", ""),
        [[Text(build.build_id, style), Text(str(build.entries), style), Text(said, style)] for build, said, style in rows],
    )
    if not rows:
        output.line("no entries that name a build")
