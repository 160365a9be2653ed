"""Every metric with its kind, unit, labels and meaning. `docs/reference/metrics.md` is made from this file."""

from typing import Final, Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]
Daemon = Literal["gateway", "coordinator", "diminuendo"]

PREFIX: Final = "podium_"

HISTOGRAM_BOUNDS: Final = (
    0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
)  # fmt: skip
"""Upper bounds of histogram buckets, in seconds: from the commit of one event to a long turn."""

_UNITS: Final = {"seconds": "s", "bytes": "By", "ratio": "1"}
"""The end of a name → the unit as OTLP writes it (UCUM)."""


class Metric(NamedTuple):
    """One metric. Its unit is the end of its name, before `_total`; without one it counts things.

    Labels have few values: nothing that tenants or agents choose is one.
    """

    name: str
    kind: Kind
    of: tuple[Daemon, ...]
    meaning: str
    labels: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """As OTLP writes it; `1` where things are counted."""
        return _UNITS.get(self.name.removesuffix("_total").rpartition("_")[2], "1")


_GATEWAY: Final[tuple[Daemon, ...]] = ("gateway",)
_COORDINATOR: Final[tuple[Daemon, ...]] = ("coordinator",)
_ALL_DAEMONS: Final[tuple[Daemon, ...]] = ("gateway", "coordinator", "diminuendo")


def _metric(name: str, kind: Kind, of: tuple[Daemon, ...], meaning: str, *labels: str) -> Metric:
    return Metric(PREFIX + name, kind, of, meaning, tuple(sorted(labels)))


_REQUESTS: Final = (
    _metric("requests_total", "counter", _ALL_DAEMONS, "REST requests answered", "method", "route", "status"),
    _metric(
        "request_seconds",
        "histogram",
        _ALL_DAEMONS,
        "time from the head of a REST request to the end of its answer",
        "route",
    ),
)

_STREAMS: Final = (
    _metric("connections", "gauge", _ALL_DAEMONS, "WebSockets open now"),
    _metric("connections_opened_total", "counter", _ALL_DAEMONS, "WebSockets opened"),
    _metric("reattached_total", "counter", _GATEWAY, "connections attached again after a coordinator was lost"),
    _metric("proxy_buffered_bytes", "gauge", _GATEWAY, "bytes clients have not taken yet, over all connections"),
    _metric(
        "proxy_stalled",
        "gauge",
        _GATEWAY,
        "connections whose client does not take what there is: its coordinator is not read",
    ),
    _metric("slow_consumers_total", "counter", _COORDINATOR, "connections closed with 4408"),
)

_TURNS: Final = (
    _metric("messages_total", "counter", _COORDINATOR, "messages accepted"),
    _metric(
        "turn_queue_seconds", "histogram", _COORDINATOR,
        "time from the acceptance of a message to its delivery to the agent's process: other turns, and the start of the process",
    ),
    _metric(
        "turn_first_output_seconds", "histogram", _COORDINATOR,
        "time from the delivery of a message to the first thing the agent says: text, a thought, a tool call",
    ),
    _metric(
        "turn_seconds", "histogram", _COORDINATOR, "time from the acceptance of a message to the end of its turn", "outcome"
    ),
    _metric("turns_total", "counter", _COORDINATOR, "turns that came to their end"),
    _metric("tokens_total", "counter", _COORDINATOR, "tokens of models as agents reported them", "kind"),
    _metric("model_cost_dollars_total", "counter", _COORDINATOR, "cost of models as agents reported it, in dollars"),
)  # fmt: skip

_AGENTS: Final = (
    _metric("instances", "gauge", _COORDINATOR, "instances", "status"),
    _metric(
        "start_seconds", "histogram", _COORDINATOR,
        "time from the decision to start an agent's process to its ready: deployment, workspace, process, `on_init`",
    ),
    _metric("mount_seconds", "histogram", _COORDINATOR, "the part of a start that opens the workspace"),
    _metric("start_failures_total", "counter", _COORDINATOR, "starts of processes that did not come to ready"),
    _metric("restarts_total", "counter", _COORDINATOR, "processes started again by the restart policy"),
    _metric("agents_misbehaved_total", "counter", _COORDINATOR, "agents killed because they broke the protocol of their link"),
    _metric("events_refused_total", "counter", _COORDINATOR, "events of agents that were dropped because they break the protocol"),
    _metric("deployments_unprepared_total", "counter", _COORDINATOR, "deployments that could not be prepared ahead of time"),
    _metric("forks_total", "counter", _COORDINATOR, "agents that were forked"),
    _metric("rewinds_total", "counter", _COORDINATOR, "agents that were taken back"),
    _metric("adoptions_total", "counter", _COORDINATOR, "agents of other hosts that went on here"),
)  # fmt: skip

_STORAGE: Final = (
    _metric("events_total", "counter", _COORDINATOR, "events written to journals"),
    _metric("batches_total", "counter", _COORDINATOR, "transactions that wrote events or state"),
    _metric(
        "commit_seconds", "histogram", _COORDINATOR, "time one such transaction takes; nothing is shown before it is over"
    ),
    _metric("storage_failures_total", "counter", _COORDINATOR, "transactions that the databases refused: a full or damaged disk"),
    _metric(
        "replication_lag_seconds", "gauge", _COORDINATOR,
        "how long what is committed now needs to be in the replica, measured every 5 s on one agent after another; while "
        "something can't be replicated, for how long that has been so",
    ),
    _metric(
        "replicas_unavailable", "gauge", _COORDINATOR,
        "agents with changes that are not being replicated now: awake and not attached, or at rest with changes only here",
    ),
)  # fmt: skip

_PROCESS: Final = (
    _metric("loop_lag_seconds", "gauge", _ALL_DAEMONS, "how late the event loop was at worst in the last few seconds"),
    _metric("process_cpu_seconds_total", "counter", _ALL_DAEMONS, "processor time of the daemon, without its children"),
    _metric("process_memory_bytes", "gauge", _ALL_DAEMONS, "resident memory of the daemon"),
    _metric("process_open_files", "gauge", _ALL_DAEMONS, "file descriptors the daemon has open"),
    _metric("process_open_files_limit", "gauge", _ALL_DAEMONS, "file descriptors it may have open"),
    _metric("disk_free_ratio", "gauge", _ALL_DAEMONS, "free share of the disk with the data directory, from 0 to 1"),
)

_SESSIONS: Final = (
    _metric("sessions_at_work", "gauge", ("diminuendo",), "sessions somebody follows, or whose instance is there"),
    _metric("client_messages_total", "counter", ("diminuendo",), "messages of clients that were read", "type"),
    _metric("client_errors_total", "counter", ("diminuendo",), "errors clients were answered with", "code"),
    _metric("client_refused_tokens_total", "counter", ("diminuendo",), "credentials that were not accepted"),
)

METRICS: Final[dict[str, Metric]] = {
    metric.name.removeprefix(PREFIX): metric
    for metric in (*_REQUESTS, *_STREAMS, *_TURNS, *_AGENTS, *_STORAGE, *_PROCESS, *_SESSIONS)
}
"""Name without its prefix → metric."""
