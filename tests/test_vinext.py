from __future__ import annotations

import vinext


def test_the_names_that_sites_import() -> None:
    assert sorted(vinext.__all__) == [
        "CacheLife",
        "FetchError",
        "FetchedResponse",
        "Page",
        "cache_life",
        "cached",
        "cached_fetch",
        "no_store",
        "revalidate",
        "revalidate_path",
        "revalidate_path_prefix",
        "revalidate_tag",
        "use_asgi",
        "use_function",
        "use_pages",
        "use_worker",
        "use_wsgi",
    ]
    assert all(hasattr(vinext, name) for name in vinext.__all__)
