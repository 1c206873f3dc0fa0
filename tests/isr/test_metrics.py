"""What Prometheus reads of an isolate."""

from __future__ import annotations

import re

import pytest

from isr.metrics import exposition
from isr.numbers import LATENCY_MS, Numbers
from isr.reasons import Bypass, Inadmissible, Served
from isr.story import Outcome

# https://prometheus.io/docs/instrumenting/exposition_formats/#text-format-details
_SAMPLE = re.compile(r'([a-zA-Z_:][\w:]*)((?:\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*",?)*\})?) (\d+(?:\.\d+)?)')


def samples(text: str) -> dict[str, float]:
    """Read an exposition; each metric has its help, its type and its samples together, and no sample comes twice."""
    assert text.endswith("\n")
    found: dict[str, float] = {}
    metric, kinds = "", {}
    for line in text.splitlines():
        if line.startswith("# HELP "):
            metric = line.split()[2]
            assert metric not in kinds
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert (name, kind in {"counter", "gauge", "histogram"}) == (metric, True)
            kinds[metric] = kind
        else:
            sample = _SAMPLE.fullmatch(line)
            assert sample is not None, line
            suffixes = ("_bucket", "_sum", "_count") if kinds[metric] == "histogram" else ("",)
            assert sample[1] in {f"{metric}{suffix}" for suffix in suffixes}
            assert f"{sample[1]}{sample[2]}" not in found
            found[f"{sample[1]}{sample[2]}"] = float(sample[3])
    return found


def test_a_site_s_counters_are_read_as_they_are_counted() -> None:
    numbers = Numbers()
    for took_ms in (0, 3, 20_000):
        numbers.answered(Outcome.HIT, Served.FRESH, 100, took_ms)
    numbers.answered(Outcome.PASSED_ON, Bypass.DRAFT_MODE, 0, 7)
    numbers.refuse(Inadmissible.NO_STORE)
    numbers.stored, numbers.stored_bytes, numbers.regenerated, numbers.regenerations_failed = 4, 5000, 2, 1
    found = samples(exposition({"": numbers, "shop": Numbers()}, 1_700_000_000_123))
    assert found["vinext_isolate_start_time_seconds"] == 1_700_000_000.123
    of_site = {name.replace('site="",', "").replace('{site=""}', ""): value for name, value in found.items() if 'site=""' in name}
    assert {name: value for name, value in of_site.items() if value and "bucket" not in name} == {
        'vinext_requests_total{outcome="hit"}': 3,
        'vinext_requests_total{outcome="passed_on"}': 1,
        'vinext_passed_on_total{reason="pass.draft-mode"}': 1,
        'vinext_refused_total{reason="answer.no-store"}': 1,
        "vinext_stored_total": 4,
        "vinext_stored_bytes_total": 5000,
        "vinext_sent_bytes_total": 300,
        'vinext_regenerations_total{result="stored"}': 2,
        'vinext_regenerations_total{result="failed"}': 1,
        'vinext_request_duration_seconds_sum{outcome="hit"}': 20.003,
        'vinext_request_duration_seconds_count{outcome="hit"}': 3,
        'vinext_request_duration_seconds_sum{outcome="passed_on"}': 0.007,
        'vinext_request_duration_seconds_count{outcome="passed_on"}': 1,
    }
    buckets = [value for name, value in of_site.items() if "bucket" in name and 'outcome="hit"' in name]
    assert buckets == [1, *[2] * (len(LATENCY_MS) - 1), 3]
    assert 'vinext_request_duration_seconds_bucket{outcome="hit",le="0.001"}' in of_site
    assert 'vinext_request_duration_seconds_bucket{outcome="hit",le="+Inf"}' in of_site


@pytest.mark.parametrize("prefix", ['a"b', "a\\b", "a\nb", "ü"])
def test_a_prefix_with_special_characters_stays_one_label(prefix: str) -> None:
    assert len(samples(exposition({prefix: Numbers()}, 0))) > len(LATENCY_MS)


def test_an_isolate_without_a_site_has_no_counters_yet() -> None:
    assert samples(exposition({}, 5000)) == {"vinext_isolate_start_time_seconds": 5}
