"""Every metric with its kind, unit and meaning."""

from typing import Final, Literal, NamedTuple


class Metric(NamedTuple):
    """One metric; its unit is the end of its name."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str


HISTOGRAM_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of histogram buckets, in seconds."""

_ALL: Final = (
    Metric("podium_requests_total", "counter", "REST requests answered, by status"),
    Metric("podium_request_seconds", "histogram", "time from the head of a REST request to the head of its answer"),
    Metric("podium_connections", "gauge", "WebSockets open now"),
    Metric("podium_connections_total", "counter", "WebSockets opened"),
    Metric("podium_reattached_total", "counter", "connections a gateway attached again after a coordinator was lost"),
    Metric("podium_slow_consumers_total", "counter", "connections closed with 4408"),
    Metric("podium_instances", "gauge", "instances, by status"),
    Metric("podium_turns_total", "counter", "turns that came to their end"),
    Metric("podium_forks_total", "counter", "agents that were forked"),
    Metric("podium_adoptions_total", "counter", "agents of other hosts that went on here"),
    Metric(
        "podium_replication_lag_seconds",
        "gauge",
        "how long what is committed now needs to be in the replica, measured every 5 s on one agent after another; while "
        "something can't be replicated, for how long that has been so",
    ),
    Metric(
        "podium_replicas_unavailable",
        "gauge",
        "agents with changes that are not being replicated now: awake and not attached, or at rest with changes only here",
    ),
    Metric("podium_rewinds_total", "counter", "agents that were taken back"),
    Metric("podium_events_total", "counter", "events written to journals"),
    Metric("podium_batches_total", "counter", "transactions that wrote events or state"),
    Metric("podium_restarts_total", "counter", "processes started again by the restart policy"),
    Metric("podium_agents_misbehaved_total", "counter", "agents killed because they broke the protocol of their link"),
    Metric("podium_messages_total", "counter", "messages accepted"),
    Metric(
        "podium_events_refused_total", "counter", "events of agents that were dropped because they break the protocol"
    ),
    Metric("podium_deployments_unprepared_total", "counter", "deployments that could not be prepared ahead of time"),
    Metric("podium_start_seconds", "histogram", "time from the start of a process to its ready"),
    Metric("podium_loop_lag_seconds", "gauge", "how late the event loop was at its last tick"),
)

METRICS: Final[dict[str, Metric]] = {metric.name.removeprefix("podium_"): metric for metric in _ALL}
"""Name without its prefix → metric."""
