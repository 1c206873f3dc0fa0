"""Sites that a pattern makes."""

from __future__ import annotations

import pytest

from isr.tenants import read_tenants

TENANTS = read_tenants("named.example=shop, other.example.com=own, *.example.com={label}, *.sites.example=site_{label}_x")


@pytest.mark.parametrize(
    ("host", "prefix"),
    [
        pytest.param("named.example", "shop", id="a name"),
        pytest.param("a.example.com", "a", id="a label"),
        pytest.param("a-1.sites.example", "site_a-1_x", id="a label within other text"),
        pytest.param("other.example.com", "own", id="a name before a pattern"),
        pytest.param("shop.example.com", None, id="the prefix of a name"),
        pytest.param("own.example.com", None, id="the prefix of a name below the same domain"),
        pytest.param("cache.example.com", None, id="a word of keys"),
        pytest.param("a.b.example.com", None, id="two labels"),
        pytest.param("example.com", None, id="no label"),
        pytest.param(".example.com", None, id="an empty label"),
        pytest.param("a:b.example.com", None, id="a colon"),
        pytest.param("__tag.example.com", None, id="underscores"),
        pytest.param("-a.example.com", None, id="a hyphen at the beginning"),
        pytest.param("a-.example.com", None, id="a hyphen at the end"),
        pytest.param("\u00e9.example.com", None, id="no ASCII"),
        pytest.param(f"{'x' * 64}.example.com", None, id="too long"),
        pytest.param(f"{'x' * 63}.example.com", "x" * 63, id="as long as may be"),
        pytest.param("a.example.com.evil.example", None, id="another domain"),
        pytest.param("aexample.com", None, id="a domain that ends alike"),
    ],
)
def test_the_prefix_of_a_host(host: str, prefix: str | None) -> None:
    assert TENANTS.prefix_of(host) == prefix
    assert prefix is None or prefix in TENANTS.prefixes or TENANTS.makes(prefix)


@pytest.mark.parametrize("prefix", ["shop", "own", "", "a:b", "site__x", "site_"])
def test_a_pattern_makes_no_other_prefix(prefix: str) -> None:
    assert not TENANTS.makes(prefix)
