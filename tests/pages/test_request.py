from __future__ import annotations

import pytest
from tests.fakes.requests import request

from pages.request import NOT_FOR_KEPT_ANSWERS, RenderRequest

ORIGIN = "https://example.com"


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://example.com", "example.com"),
        ("https://EXAMPLE.com", "example.com"),
        ("http://localhost:8787", "localhost"),
        ("http://127.0.0.1:8787", "127.0.0.1"),
        ("http://[::1]:8787", "[::1]"),
        ("http://[::1]", "[::1]"),
    ],
)
def test_the_host_is_told_without_its_port(origin: str, host: str) -> None:
    assert request("/", origin=origin).host == host


@pytest.mark.parametrize("path", ["/", "/about", "/blog/h%C3%A9llo%20w%C3%B6rld", "/blog/slash%2Finside"])
def test_the_canonical_request_for_a_page_has_nothing_of_a_visitor(path: str) -> None:
    document = RenderRequest(ORIGIN, path)
    assert document.url == f"{ORIGIN}{path}"
    assert set(document.headers) == {"Accept"}
    assert "x-component" not in document.headers["Accept"]


@pytest.mark.parametrize("path", ["/", "/about", "/blog/slash%2Finside"])
def test_the_canonical_request_for_a_payload_is_the_one_of_a_client_that_knows_nothing(path: str) -> None:
    payload = RenderRequest(ORIGIN, path, rsc=True)
    assert payload.url == f"{ORIGIN}{path}?_rsc"
    assert payload.headers == {"RSC": "1", "Accept": "text/x-component"}


@pytest.mark.parametrize(
    "name", ["x-forwarded-host", "x-forwarded-proto", "forwarded", "range", "if-none-match", "x-original-url", "accept-encoding"]
)
def test_what_a_visitor_may_not_choose_for_others_is_listed(name: str) -> None:
    assert name in NOT_FOR_KEPT_ANSWERS
    assert all(listed == listed.lower() for listed in NOT_FOR_KEPT_ANSWERS)


def test_a_request_is_not_for_keeping_unless_it_says_so() -> None:
    assert request("/about").kept_as is None
