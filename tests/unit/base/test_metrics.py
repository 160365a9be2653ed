"""The metrics page is Prometheus text."""

import pytest

from podium.base.metrics import Metrics


def test_counters_gauges_and_histograms_are_written_as_prometheus_reads_them() -> None:
    metrics = Metrics()
    metrics.add("turns_total")
    metrics.add("turns_total", 2)
    metrics.add("requests_total", method="GET", route="/x", status="200")
    metrics.set("connections", 5)
    metrics.watch("messages_total", lambda: 7.0)
    metrics.observe("start_seconds", 0.003)
    metrics.observe("start_seconds", 99.0)
    page = metrics.page()
    assert "podium_turns_total 3" in page
    assert 'podium_requests_total{method="GET",route="/x",status="200"} 1' in page
    assert "# TYPE podium_connections gauge\npodium_connections 5" in page
    assert "podium_messages_total 7" in page
    assert 'podium_start_seconds_bucket{le="0.005"} 1' in page
    assert 'podium_start_seconds_bucket{le="+Inf"} 2' in page
    assert "podium_start_seconds_count 2" in page


def test_counters_of_a_daemon_begin_at_zero_so_that_their_first_event_is_an_increase() -> None:
    page = Metrics("coordinator").page()
    assert "\npodium_storage_failures_total 0\n" in page
    assert "podium_reattached_total" not in page  # a gateway's
    assert "podium_requests_total" not in page  # has labels
    assert "podium_turn_seconds" not in page
    assert Metrics().page().strip() == ""


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
    metrics.add("requests_total", status="200", method="GET", route="/x")
    metrics.add("requests_total", route="/x", method="GET", status="200")
    assert 'podium_requests_total{method="GET",route="/x",status="200"} 2' in metrics.page()


def test_labels_a_metric_does_not_have_are_an_error() -> None:
    with pytest.raises(KeyError, match="outcome"):
        Metrics().observe("turn_seconds", 1.0, tenant="acme")
