"""What the bindings of a configuration promise, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isr.settings import EdgeCache
from vinext_worker.cloudflare.deployment import R2_BINDING
from vinext_worker.cloudflare.kv_namespace import CACHE_BINDING

if TYPE_CHECKING:
    from vinext_worker.cloudflare.deployment import Deployment

TAGS_BINDING = "VINEXT_TAGS"


def describe_stores(deployment: Deployment) -> str:
    """Return where pages are kept, and when other isolates notice an invalidation (docs/stores.md)."""
    return _described(deployment) + _described_edge(deployment)


def _described_edge(deployment: Deployment) -> str:
    if not deployment.config.is_cached:
        return ""
    if deployment.settings.edge_cache is not EdgeCache.OFF:
        return "; Workers Cache in front keeps popular pages"
    return "; Workers Cache in front keeps nothing, because VINEXT_EDGE_CACHE is off"


def _described(deployment: Deployment) -> str:
    config, settings = deployment.config, deployment.settings
    has_kv, has_r2 = CACHE_BINDING in config.kv_namespaces, R2_BINDING in config.r2_buckets
    if not has_kv and not has_r2:
        return f"pages are kept in each isolate's memory, and nobody else notices an invalidation: no {CACHE_BINDING} is bound"
    large = f", those of more than {settings.kv_body_bytes:,} bytes in R2" if has_kv and has_r2 else ""
    kept = f"pages are kept in {'KV' if has_kv else 'R2'}{large}"
    if settings.regional_cache:
        kept += f", with copies in the data centre for {settings.regional_cache} s"
    seconds = settings.tag_cache_ms / 1000
    own = f"within {seconds:g} s" if seconds else "at once"
    if TAGS_BINDING in config.durable_objects:
        return f"{kept}; invalidations are noticed {own}, by Durable Objects"
    return f"{kept}; invalidations are noticed {f'within a minute or so and {seconds:g} s' if has_kv else own}"
