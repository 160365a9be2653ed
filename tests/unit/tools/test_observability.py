"""Dashboard, alerts and the reference of metrics ask for nothing that is not there, and leave nothing out."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from podium.base.metric_names import METRICS, Metric
from tools.generate_observability import DASHBOARD, PAGE, ROOT, made

ALERTS = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text())["groups"][0]["rules"]
BY_NAME = {metric.name: metric for metric in METRICS.values()}
OF_PROMETHEUS = {"up"}
"""What Prometheus itself knows of a target."""
TARGET_LABELS = {"job", "instance"}
"""What it adds to every sample."""


def dashboard_queries() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def alert_queries() -> list[str]:
    return [alert["expr"] for alert in ALERTS]


def selectors(node: Any) -> Iterator[Any]:
    """All selectors of a parsed query."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        if (below := getattr(node, name, None)) is not None:
            yield from selectors(below)
    for argument in getattr(node, "args", None) or ():
        yield from selectors(argument)


def metric_of(name: str) -> Metric:
    """The metric a sample belongs to; of a histogram there are samples under three names."""
    if name in BY_NAME:
        assert BY_NAME[name].kind != "histogram", f"{name}: ask for its _bucket, _sum or _count"
        return BY_NAME[name]
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    assert base in BY_NAME, name
    assert BY_NAME[base].kind == "histogram", name
    return BY_NAME[base]


@pytest.mark.proves("METRICS-USED")
@pytest.mark.parametrize("query", [*dashboard_queries(), *alert_queries()])
def test_a_query_is_one_and_asks_for_metrics_and_labels_there_are(query: str) -> None:
    parsed = promql_parser.parse(query.replace("$__rate_interval", "1m"))
    found = list(selectors(parsed))
    assert found, query
    for selector in found:
        if selector.name in OF_PROMETHEUS:
            continue
        metric = metric_of(selector.name)
        asked = {matcher.name for matcher in selector.matchers.matchers}
        assert asked <= {*metric.labels, *TARGET_LABELS}, query
        if metric.kind == "counter" or selector.name != metric.name:
            assert re.search(rf"(rate|increase)\({re.escape(selector.name)}\b", query), (
                f"{query}: a counter without rate"
            )
    grouped = {name.strip() for names in re.findall(r"\bby \(([^)]*)\)", query) for name in names.split(",")}
    known = {
        label for selector in found if selector.name in BY_NAME or "_" in selector.name for label in labels_of(selector)
    }
    assert grouped <= known | TARGET_LABELS | {"le"}, query


def labels_of(selector: Any) -> tuple[str, ...]:
    return metric_of(selector.name).labels


@pytest.mark.proves("METRICS-USED")
def test_every_alert_has_a_page_that_tells_what_to_do_and_every_page_an_alert() -> None:
    pages = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs" / "howto").glob("runbook-*.md")}
    assert {alert["annotations"]["runbook"] for alert in ALERTS} == pages
    overview = (ROOT / "docs" / "howto" / "observe.md").read_text()
    for alert in ALERTS:
        text = (ROOT / alert["annotations"]["runbook"]).read_text()
        assert text.startswith(f"# {alert['alert']}\n")
        assert all(f"**{part}.**" in text for part in ("What users see", "Look", "Do"))
        assert f"[{alert['alert']}]({Path(alert['annotations']['runbook']).name})" in overview
        assert alert["labels"]["severity"] in {"page", "ticket"}


@pytest.mark.proves("METRICS-USED")
def test_metrics_that_pages_name_exist() -> None:
    for page in (ROOT / "docs" / "howto").glob("*.md"):
        for name in set(re.findall(r"podium_[a-z_]+[a-z]", page.read_text())) - set(BY_NAME):
            metric_of(name)


@pytest.mark.proves("METRICS-NAMED")
def test_every_metric_is_counted_somewhere() -> None:
    code = "\n".join(
        path.read_text()
        for folder in ("podium", "diminuendo")
        for path in (ROOT / "src" / folder).rglob("*.py")
        if path.name != "metric_names.py"
    )
    assert [name for name in METRICS if f'"{name}"' not in code] == []


def test_units_are_told_by_names() -> None:
    assert {METRICS[name].unit for name in ("turn_seconds", "process_cpu_seconds_total")} == {"s"}
    assert METRICS["process_memory_bytes"].unit == "By"
    assert METRICS["disk_free_ratio"].unit == METRICS["turns_total"].unit == "1"
    assert all(metric.name.endswith("_total") == (metric.kind == "counter") for metric in METRICS.values())


def test_what_is_generated_is_fresh() -> None:
    assert [str(path) for path, text in made().items() if path.read_text() != text] == []
    assert PAGE.read_text().count("| `podium_") == len(METRICS)


def test_prometheus_is_told_of_every_daemon_and_of_no_key_that_opens_more() -> None:
    told = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yaml").read_text())
    jobs = {job["job_name"]: job for job in told["scrape_configs"]}
    assert set(jobs) == {daemon for metric in METRICS.values() for daemon in metric.of}
    assert jobs["coordinator"]["authorization"]["credentials_file"].endswith("podium-metrics-key")
    assert told["rule_files"] == ["alerts.yaml"]
