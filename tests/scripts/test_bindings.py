"""What `check` says of the bindings, and `deploy` of wrong ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fakes.cloudflare import NAMESPACE
from tests.fakes.deployments import FakeDeployment

from vinext_worker.cloudflare.bindings import binding_faults, bindings_of
from vinext_worker.cloudflare.deployment import Deployment
from vinext_worker.cloudflare.wrangler_config import WranglerConfig

if TYPE_CHECKING:
    from pathlib import Path

R2 = '[[r2_buckets]]\nbinding = "VINEXT_CACHE_R2"\nbucket_name = "pages"\n'
TAGS = '[[durable_objects.bindings]]\nname = "VINEXT_TAGS"\nclass_name = "VinextTags"\n'
MIGRATION = '[[migrations]]\ntag = "v1"\nnew_sqlite_classes = ["VinextTags"]\n'
APP = '[[services]]\nbinding = "PAGES"\nservice = "app"\n[images]\nbinding = "IMAGES"\n'
DATASET = '[[analytics_engine_datasets]]\nbinding = "VINEXT_ANALYTICS"\ndataset = "pages"\n'

BOUND = {
    "nothing": (
        None,
        "",
        "",
        {"ASSETS"},
        {
            "VINEXT_CACHE": "each isolate's memory alone keeps pages; others do not see them",
            "PAGES": "Python code that the entry names renders pages; if it names none, bind the app's Worker",
        },
    ),
    "KV": (
        NAMESPACE,
        APP,
        "",
        {"VINEXT_CACHE", "ASSETS", "PAGES", "IMAGES"},
        {
            "PAGES": "the Worker app renders pages",
            "VINEXT_CACHE_R2": "a page of more than 8,388,608 bytes is not kept",
            "IMAGES": "/_next/image transforms images that no rule of the app may touch",
        },
    ),
    "images": (None, APP, 'VINEXT_IMAGES = "on"', {"ASSETS", "PAGES", "IMAGES"}, {"IMAGES": "/_next/image transforms images"}),
    "KV, framed": (
        NAMESPACE,
        "",
        'VINEXT_KV_LAYOUT = "framed"\nVINEXT_MAX_PAGE_BYTES = 50000000',
        {"VINEXT_CACHE", "ASSETS"},
        {"VINEXT_CACHE_R2": "a page of more than 26,214,400 bytes is not kept"},
    ),
    "R2": (
        None,
        R2,
        "",
        {"VINEXT_CACHE_R2", "ASSETS"},
        {"VINEXT_TAGS": "others learn of an invalidation within 5 s, from the store"},
    ),
    "a dataset": (
        None,
        DATASET,
        "VINEXT_ANALYTICS_SAMPLE = 10",
        {"ASSETS", "VINEXT_ANALYTICS"},
        {"VINEXT_ANALYTICS": "one of 10 requests for pages gets a data point in pages, which `vinext-worker stats` reads"},
    ),
    "KV, R2, objects, a region": (
        NAMESPACE,
        R2 + TAGS + MIGRATION,
        "VINEXT_REGIONAL_CACHE = 60\nVINEXT_TAG_CACHE_MS = 0",
        {"VINEXT_CACHE", "VINEXT_CACHE_R2", "VINEXT_TAGS", "VINEXT_REGIONAL_CACHE", "ASSETS"},
        {
            "VINEXT_CACHE_R2": "the bucket pages keeps the bodies of more than 1,048,576 bytes",
            "VINEXT_TAGS": "Durable Objects tell others of an invalidation at once, and retry a regeneration that fails",
        },
    ),
}


@pytest.mark.parametrize(("namespace", "text", "variables", "bound", "means"), BOUND.values(), ids=BOUND)
def test_each_binding_says_what_it_means(  # noqa: PLR0913, PLR0917 - the cases
    tmp_path: Path, namespace: str | None, text: str, variables: str, bound: set[str], means: dict[str, str]
) -> None:
    fake = FakeDeployment(tmp_path)
    fake.configure(text, namespace=namespace, variables=variables)
    found = {binding.name: binding for binding in bindings_of(Deployment.read(fake.config, None))}
    assert {name for name, binding in found.items() if binding.is_bound} == bound
    assert {name: found[name].means for name in means} == means


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (R2 + TAGS + MIGRATION, []),
        (R2.replace("VINEXT_CACHE_R2", "VINEXT_CACHE"), ["VINEXT_CACHE is bound to an R2 bucket and has to be a KV namespace"]),
        (
            R2.replace("VINEXT_CACHE_R2", "VINEXT_ANALYTICS"),
            ["VINEXT_ANALYTICS is bound to an R2 bucket and has to be a dataset of Analytics Engine"],
        ),
        (TAGS, ['no [[migrations]] makes the class of VINEXT_TAGS; add new_sqlite_classes = ["VinextTags"]']),
    ],
    ids=["as they should be", "of another kind", "no dataset", "without a class"],
)
def test_a_wrong_binding_is_one_line(tmp_path: Path, text: str, faults: list[str]) -> None:
    fake = FakeDeployment(tmp_path)
    fake.configure(text, namespace=None)
    assert binding_faults(WranglerConfig.read(fake.config)) == [f"{fake.config}: {fault}" for fault in faults]
