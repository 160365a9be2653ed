"""The metrics page is Prometheus text."""

import pytest

from podium.base.metrics import Metrics


def test_counters_gauges_and_histograms_are_written_as_prometheus_reads_them() -> None:
    metrics = Metrics()
    metrics.add("requests_total", status="200")
    metrics.add("requests_total", 2, status="200")
    metrics.set("connections", 5)
    metrics.watch("turns_total", lambda: 7.0)
    metrics.observe("start_seconds", 0.003)
    metrics.observe("start_seconds", 99.0)
    page = metrics.page()
    assert 'podium_requests_total{status="200"} 3' in page
    assert "# TYPE podium_connections gauge\npodium_connections 5" in page
    assert "podium_turns_total 7" in page
    assert 'podium_start_seconds_bucket{le="0.005"} 1' in page
    assert 'podium_start_seconds_bucket{le="+Inf"} 2' in page
    assert "podium_start_seconds_count 2" in page


def test_label_values_are_escaped() -> None:
    metrics = Metrics()
    metrics.set("instances", 1, status='a"\\\n')
    assert r'status="a\"\\\n"' in metrics.page()


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        Metrics().add("no_such_metric")


def test_a_counter_over_a_million_still_shows_every_step() -> None:
    metrics = Metrics()
    metrics.add("events_total", 12_345_678)
    metrics.add("events_total")
    assert "podium_events_total 12345679\n" in metrics.page()


def test_label_order_does_not_matter() -> None:
    metrics = Metrics()
    metrics.add("requests_total", status="200", kind="x")
    metrics.add("requests_total", kind="x", status="200")
    assert 'podium_requests_total{kind="x",status="200"} 2' in metrics.page()
