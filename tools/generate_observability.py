"""Writes what follows from the names of metrics: docs/reference/metrics.md, and the Grafana dashboard deploy/grafana/podium.json.

`--check` only says whether they are fresh. `tests/unit/tools/test_observability.py` checks that everything they ask for exists.
"""

import json
import sys
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from podium.base.metric_names import HISTOGRAM_BOUNDS, METRICS

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reference" / "metrics.md"
DASHBOARD = ROOT / "deploy" / "grafana" / "podium.json"

HEAD = """\
# Metrics

Generated from `src/podium/base/metric_names.py` by `tools/generate_observability.py`. How to collect them, and what to do when an alert
rings: [Observe it](../howto/observe.md). The unit is the end of a name; without one, things are counted. A name ending in `_total` is a
counter since the start of the daemon. A histogram has `_bucket`, `_sum` and `_count`; its buckets end at {bounds} seconds.

| metric | kind | of | labels | meaning |
| --- | --- | --- | --- | --- |
"""

SOURCE = {"type": "prometheus", "uid": "${source}"}


class Panel(NamedTuple):
    """One graph: its title, its unit as Grafana names it, and its lines, name → query. `about`: what it answers."""

    title: str
    unit: str
    lines: dict[str, str]
    about: str = ""


def rate(metric: str, by: str = "", **labels: str) -> str:
    """How much a counter grows a second, over all daemons."""
    wanted = ",".join(
        f'{name}{"=~" if "|" in value or "." in value else "="}"{value}"' for name, value in labels.items()
    )
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{f'{{{wanted}}}' if wanted else ''}[$__rate_interval]))"


def quantile(share: float, metric: str, by: str = "") -> str:
    """The value that a share of what a histogram saw does not exceed."""
    grouped = ", ".join(filter(None, ("le", by)))
    return f"histogram_quantile({share}, sum by ({grouped}) (rate({metric}_bucket[$__rate_interval])))"


def spread(metric: str) -> dict[str, str]:
    """Median and tail of a histogram."""
    return {"half within": quantile(0.5, metric), "99 % within": quantile(0.99, metric)}


ROWS: dict[str, list[Panel]] = {
    "Is it well?": [
        Panel("Turns", "ops", {"ended": rate("podium_turns_total"), "accepted": rate("podium_messages_total")}),
        Panel("Instances", "short", {"{{status}}": "sum by (status) (podium_instances)"}),
        Panel(
            "Requests that failed on our side", "percentunit",
            {"5xx": f'{rate("podium_requests_total", status="5..")} / {rate("podium_requests_total")}'},
        ),
        Panel(
            "Streams", "short",
            {"{{job}}": "sum by (job) (podium_connections)", "opened a second": rate("podium_connections_opened_total")},
        ),
    ],
    "Why is a turn slow?": [
        Panel("The whole turn", "s", spread("podium_turn_seconds"), "From acceptance to end, people's answers included."),
        Panel("1. It waits", "s", spread("podium_turn_queue_seconds"), "For earlier turns, and for its process to start."),
        Panel("2. Its process starts", "s", spread("podium_start_seconds"), "Only where it slept, or is new."),
        Panel("… of which: its workspace opens", "s", spread("podium_mount_seconds")),
        Panel(
            "3. The agent thinks", "s", spread("podium_turn_first_output_seconds"),
            "From delivery to the first thing it says: as a rule its model.",
        ),
        Panel("4. What it says is committed", "s", spread("podium_commit_seconds"), "Nothing is shown before."),
        Panel(
            "5. … and replicated", "s", {"{{instance}}": "max by (instance) (podium_replication_lag_seconds)"},
            'Agents with durability = "sync" wait for this too.',
        ),
        Panel(
            "6. It reaches the client", "bytes",
            {"not taken yet": "sum (podium_proxy_buffered_bytes)", "clients that stall": "sum (podium_proxy_stalled)"},
        ),
    ],
    "Agents": [
        Panel(
            "Starts and restarts", "ops",
            {
                "starts": rate("podium_start_seconds_count"),
                "failed starts": rate("podium_start_failures_total"),
                "restarts": rate("podium_restarts_total"),
                "misbehaved": rate("podium_agents_misbehaved_total"),
            },
        ),
        Panel("Tokens", "ops", {"{{kind}}": rate("podium_tokens_total", "kind")}, "As agents tell with `ctx.usage`."),
        Panel("Cost an hour", "currencyUSD", {"all agents": f"3600 * {rate('podium_model_cost_dollars_total')}"}),
        Panel(
            "Forks, rewinds, moves", "ops",
            {
                "forks": rate("podium_forks_total"),
                "rewinds": rate("podium_rewinds_total"),
                "adopted from other hosts": rate("podium_adoptions_total"),
            },
        ),
    ],
    "Storage": [
        Panel(
            "Events and transactions", "ops",
            {"events": rate("podium_events_total"), "transactions": rate("podium_batches_total")},
            "Events a transaction: how well bursts are batched.",
        ),
        Panel("Refused by the databases", "ops", {"{{instance}}": rate("podium_storage_failures_total", "instance")}),
        Panel("Not replicated", "short", {"{{instance}}": "sum by (instance) (podium_replicas_unavailable)"}),
        Panel("Free disk", "percentunit", {"{{instance}}": "min by (instance) (podium_disk_free_ratio)"}),
    ],
    "Gateways and clients": [
        Panel("Requests", "ops", {"{{route}}": rate("podium_requests_total", "route")}),
        Panel("Requests, 99 % within", "s", {"{{route}}": quantile(0.99, "podium_request_seconds", "route")}),
        Panel(
            "Streams that broke", "ops",
            {"attached again": rate("podium_reattached_total"), "too slow": rate("podium_slow_consumers_total")},
        ),
        Panel(
            "Diminuendo", "ops",
            {
                "messages: {{type}}": rate("podium_client_messages_total", "type"),
                "errors: {{code}}": rate("podium_client_errors_total", "code"),
            },
        ),
    ],
    "Daemons": [
        Panel("Event loop, at its latest", "s", {"{{job}} {{instance}}": "podium_loop_lag_seconds"}),
        Panel("Processor", "percentunit", {"{{job}} {{instance}}": "rate(podium_process_cpu_seconds_total[$__rate_interval])"}),
        Panel("Memory", "bytes", {"{{job}} {{instance}}": "podium_process_memory_bytes"}),
        Panel(
            "Open files", "percentunit",
            {"{{job}} {{instance}}": "podium_process_open_files / podium_process_open_files_limit"},
        ),
    ],
}  # fmt: skip


def page() -> str:
    """The reference."""
    lines = [HEAD.format(bounds=", ".join(f"{bound:g}" for bound in HISTOGRAM_BOUNDS))]
    for metric in METRICS.values():
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "–"
        lines.append(f"| `{metric.name}` | {metric.kind} | {', '.join(metric.of)} | {labels} | {metric.meaning} |\n")
    return "".join(lines)


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana reads it: rows of four panels each."""
    numbers, panels, top = count(1), [], 0
    for title, row in ROWS.items():
        place = {"x": 0, "y": top, "w": 24, "h": 1}
        panels.append(
            {"type": "row", "id": next(numbers), "title": title, "gridPos": place, "collapsed": False, "panels": []}
        )
        top += 1
        for column, panel in enumerate(row):
            place = {"x": column % 4 * 6, "y": top + column // 4 * 8, "w": 6, "h": 8}
            panels.append(_panel(panel, next(numbers), place))
        top += 8 * -(-len(row) // 4)
    return {
        "uid": "podium",
        "title": "Podium",
        "tags": ["podium"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [{"name": "source", "label": "Data source", "type": "datasource", "query": "prometheus"}]
        },
        "panels": panels,
    }


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    return {
        "type": "timeseries",
        "id": number,
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + at), "datasource": SOURCE, "expr": query, "legendFormat": name}
            for at, (name, query) in enumerate(panel.lines.items())
        ],
    }


def made() -> dict[Path, str]:
    """Path → text of each file as it should be."""
    return {PAGE: page(), DASHBOARD: json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"}


def main(arguments: list[str]) -> int:
    """Writes, or with `--check` says what is stale and returns 1."""
    if "--check" not in arguments:
        for path, text in made().items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return 0
    stale = [str(path) for path, text in made().items() if not path.exists() or path.read_text() != text]
    print("\n".join(f"stale: {path}; run tools/generate_observability.py" for path in stale), end="\n" if stale else "")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
