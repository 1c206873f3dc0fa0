"""The bindings of a configuration that the Worker looks for, and what each of them means for the site."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.body import MAX_BODY_BYTES
from isr.settings import EdgeCache, ImagesSwitch
from vinext_worker.cloudflare.deployment import R2_BINDING
from vinext_worker.cloudflare.kv_namespace import CACHE_BINDING
from vinext_worker.cloudflare.stores import TAGS_BINDING
from vinext_worker.cloudflare.wrangler_config import ASSETS_BINDING

if TYPE_CHECKING:
    from isr.settings import Settings
    from vinext_worker.cloudflare.deployment import Deployment
    from vinext_worker.cloudflare.wrangler_config import WranglerConfig

IMAGES_BINDING = "IMAGES"

ANALYTICS_BINDING = "VINEXT_ANALYTICS"


@dataclass(frozen=True)
class Binding:
    """A binding, or a setting that does as one, whether it is there, and what follows from that."""

    name: str
    is_bound: bool
    means: str

    def to_document(self) -> dict[str, object]:
        return {"name": self.name, "bound": self.is_bound, "means": self.means}


def bindings_of(deployment: Deployment) -> list[Binding]:
    """Return what the Worker looks for, in the order of docs/stores.md; then what is not about the cache."""
    config, settings = deployment.config, deployment.settings
    kv, r2 = config.kv_namespaces.get(CACHE_BINDING), config.r2_buckets.get(R2_BINDING)
    tags = config.durable_objects.get(TAGS_BINDING)
    handler = settings.page_handler
    service = config.services.get(handler.attribute) if handler.kind == "service" else None
    rows = [
        Binding(CACHE_BINDING, kv is not None, _kv(kv, r2, settings.kv_body_bytes)),
        Binding(R2_BINDING, r2 is not None, _r2(kv, r2, settings)),
        Binding(TAGS_BINDING, tags is not None, _tags(deployment)),
        Binding("VINEXT_REGIONAL_CACHE", settings.regional_cache > 0, _region(settings.regional_cache)),
        Binding("[cache]", config.is_cached, _edge(config, settings.edge_cache)),
        Binding(
            ASSETS_BINDING,
            config.assets is not None and config.assets.binding == ASSETS_BINDING,
            "the build's pages and files are read from here" if config.assets else "no page of the build is known",
        ),
    ]
    if handler.kind == "service":
        absent = "Python code that the entry names renders pages; if it names none, bind the app's Worker"
        means = f"the Worker {service} renders pages" if service else absent
        rows.append(Binding(handler.attribute, service is not None, means))
    has_images = config.images_binding == IMAGES_BINDING
    rows.append(Binding(IMAGES_BINDING, has_images, _images(settings.images, has_images=has_images, is_in_front=bool(service))))
    dataset = config.analytics_datasets.get(ANALYTICS_BINDING)
    rows.append(Binding(ANALYTICS_BINDING, dataset is not None, _analytics(dataset, settings.analytics_sample)))
    return rows


def binding_faults(config: WranglerConfig) -> list[str]:
    """Return what is bound to one of our names and is something else, or has no class."""
    kinds = {
        "a KV namespace": config.kv_namespaces,
        "an R2 bucket": config.r2_buckets,
        "a Durable Object": config.durable_objects,
        "a service": config.services,
        "a D1 database": config.d1_databases,
        "a dataset of Analytics Engine": config.analytics_datasets,
    }
    wanted = {
        CACHE_BINDING: "a KV namespace",
        R2_BINDING: "an R2 bucket",
        TAGS_BINDING: "a Durable Object",
        ANALYTICS_BINDING: "a dataset of Analytics Engine",
    }
    faults = [
        f"{config.path}: {name} is bound to {kind} and has to be {wanted[name]}"
        for name in wanted
        for kind, bound in kinds.items()
        if name in bound and kind != wanted[name]
    ]
    tags = config.durable_objects.get(TAGS_BINDING)
    if tags is not None and not config.object_classes.get(tags):
        faults.append(f'{config.path}: no [[migrations]] makes the class of {TAGS_BINDING}; add new_sqlite_classes = ["{tags}"]')
    return faults


def _kv(kv: str | None, r2: str | None, kv_body_bytes: int) -> str:
    if kv is None:
        return "KV keeps nothing" if r2 is not None else "each isolate's memory alone keeps pages; others do not see them"
    what = f"the entries of up to {kv_body_bytes:,} bytes and the heads of all" if r2 is not None else "the pages"
    return f"KV keeps {what}; others see a write within a minute or so"


def _r2(kv: str | None, r2: str | None, settings: Settings) -> str:
    if r2 is None:
        limit = min(settings.page_limit_bytes, MAX_BODY_BYTES)
        return f"a page of more than {limit:,} bytes is not kept" if kv is not None else "R2 keeps nothing"
    if kv is not None:
        return f"the bucket {r2} keeps the bodies of more than {settings.kv_body_bytes:,} bytes"
    return f"the bucket {r2} keeps the pages; others see a write at once"


def _tags(deployment: Deployment) -> str:
    config, seconds = deployment.config, deployment.settings.tag_cache_ms / 1000
    if not (config.kv_namespaces.keys() & {CACHE_BINDING} or config.r2_buckets.keys() & {R2_BINDING}):
        return "without a store, an isolate tells nobody what it invalidates"
    own = f"within {seconds:g} s" if seconds else "at once"
    if TAGS_BINDING in config.durable_objects:
        return f"Durable Objects tell others of an invalidation {own}, and retry a regeneration that fails"
    late = f"within a minute or so and {seconds:g} s" if CACHE_BINDING in config.kv_namespaces else own
    return f"others learn of an invalidation {late}, from the store"


def _region(seconds: int) -> str:
    if seconds:
        return f"the isolates of a data centre share copies of fresh pages for {seconds} s"
    return "each isolate asks the store for what it does not have in memory"


def _edge(config: WranglerConfig, edge_cache: EdgeCache) -> str:
    if not config.is_cached:
        return "every request reaches the Worker"
    if edge_cache is EdgeCache.OFF:
        return "Workers Cache in front keeps nothing, because VINEXT_EDGE_CACHE is off"
    return "Workers Cache in front answers with popular pages, without the Worker"


def _images(switch: ImagesSwitch, *, has_images: bool, is_in_front: bool) -> str:
    if switch is ImagesSwitch.OFF:
        return "the page handler answers /_next/image, because VINEXT_IMAGES is off"
    if not has_images:
        return "no image is transformed here"
    beside = " that no rule of the app may touch" if is_in_front and switch is ImagesSwitch.AUTO else ""
    return f"/_next/image transforms images{beside}"


def _analytics(dataset: str | None, sample: int) -> str:
    if dataset is None:
        return "there are no numbers over time"
    requests = "each request for a page" if sample == 1 else f"one of {sample} requests for pages"
    return f"{requests} gets a data point in {dataset}, which `vinext-worker stats` reads"
