"""What a configuration's bindings promise, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fakes.cloudflare import NAMESPACE
from tests.fakes.deployments import FakeDeployment

from isr.settings import Settings
from vinext_worker.cloudflare.deployment import Deployment, settings_of
from vinext_worker.cloudflare.stores import describe_stores
from vinext_worker.cloudflare.wrangler_config import WranglerConfig
from vinext_worker.project import Project

if TYPE_CHECKING:
    from pathlib import Path

R2 = '[[r2_buckets]]\nbinding = "VINEXT_CACHE_R2"\nbucket_name = "pages"'
TAGS = '[[durable_objects.bindings]]\nname = "VINEXT_TAGS"\nclass_name = "VinextTags"'


@pytest.mark.parametrize(
    ("namespace", "text", "variables", "expected"),
    [
        (
            None,
            "",
            "",
            "pages are kept in each isolate's memory, and nobody else notices an invalidation: no VINEXT_CACHE is bound",
        ),
        (NAMESPACE, "", "", "pages are kept in KV; invalidations are noticed within a minute or so and 5 s"),
        (
            NAMESPACE,
            R2,
            "VINEXT_KV_BODY_BYTES = 100000",
            (
                "pages are kept in KV, those of more than 100,000 bytes in R2; "
                "invalidations are noticed within a minute or so and 5 s"
            ),
        ),
        (None, R2, "VINEXT_TAG_CACHE_MS = 500", "pages are kept in R2; invalidations are noticed within 0.5 s"),
        (
            NAMESPACE,
            TAGS,
            "VINEXT_TAG_CACHE_MS = 0\nVINEXT_REGIONAL_CACHE = 60",
            (
                "pages are kept in KV, with copies in the data centre for 60 s; "
                "invalidations are noticed at once, by Durable Objects"
            ),
        ),
        (
            NAMESPACE,
            "[cache]\nenabled = true",
            'VINEXT_EDGE_CACHE = "on"',
            (
                "pages are kept in KV; invalidations are noticed within a minute or so and 5 s; "
                "Workers Cache in front keeps popular pages"
            ),
        ),
        (
            NAMESPACE,
            "[cache]\nenabled = true",
            "",
            (
                "pages are kept in KV; invalidations are noticed within a minute or so and 5 s; "
                "Workers Cache in front keeps nothing, because VINEXT_EDGE_CACHE is off"
            ),
        ),
    ],
    ids=["memory", "KV", "KV and R2", "R2", "KV, objects, region", "edge", "edge off"],
)
def test_the_bindings_say_what_they_promise(
    tmp_path: Path, namespace: str | None, text: str, variables: str, expected: str
) -> None:
    fake = FakeDeployment(tmp_path)
    fake.configure(text, namespace=namespace, variables=variables)
    config = WranglerConfig.read(fake.config)
    settings = settings_of(config, config.deployed_variables)
    assert describe_stores(Deployment(Project.find(), config, settings)) == expected
    if text == R2:
        assert settings.kv_layout is Settings().with_bucket().kv_layout
