"""Counters, gauges and histograms in the Prometheus text format (version 0.0.4).

Our own because it is small and on the hot path: an increment is one dictionary update. Names, units and meanings are in
`podium.base.metric_names`, and nowhere else.
"""

from bisect import bisect_left
from collections.abc import Callable
from typing import Final

from podium.base.metric_names import HISTOGRAM_BOUNDS, METRICS

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_Labels = tuple[tuple[str, str], ...]


class Metrics:
    """The metrics of one daemon. Using a name that is not in `METRICS` is a KeyError."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, _Labels], float] = {}
        self._buckets: dict[tuple[str, _Labels], list[int]] = {}
        self._read: dict[tuple[str, _Labels], Callable[[], float]] = {}

    def add(self, name: str, amount: float = 1.0, **labels: str) -> None:
        """Counts. Not thread-safe: for the event loop's thread."""
        key = _key(name, labels) if labels else (name, ())
        try:
            self._values[key] += amount
        except KeyError:
            self._values[_key(name, labels)] = amount

    def set(self, name: str, value: float, **labels: str) -> None:
        """Sets a gauge."""
        self._values[_key(name, labels)] = value

    def watch(self, name: str, read: Callable[[], float], **labels: str) -> None:
        """A gauge or counter that is read when the page is asked for."""
        self._read[_key(name, labels)] = read

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Puts a value (seconds) into a histogram."""
        key = _key(name, labels)
        buckets = self._buckets.setdefault(key, [0] * (len(HISTOGRAM_BOUNDS) + 1))
        buckets[bisect_left(HISTOGRAM_BOUNDS, value)] += 1
        self._values[key] = self._values.get(key, 0.0) + value

    def page(self) -> str:
        """What `GET /metrics` answers."""
        lines: list[str] = []
        values = {**self._values, **{key: read() for key, read in self._read.items()}}
        for short, metric in METRICS.items():
            samples = sorted((labels, value) for (name, labels), value in values.items() if name == short)
            if not samples:
                continue
            lines += [f"# HELP {metric.name} {metric.meaning}", f"# TYPE {metric.name} {metric.kind}"]
            for labels, value in samples:
                lines += (
                    self._histogram(short, labels, value)
                    if metric.kind == "histogram"
                    else [f"{metric.name}{_written(labels)} {_number(value)}"]
                )
        return "\n".join(lines) + "\n"

    def _histogram(self, short: str, labels: _Labels, total: float) -> list[str]:
        lines, seen, name = [], 0, METRICS[short].name
        for bound, count in zip((*map(str, HISTOGRAM_BOUNDS), "+Inf"), self._buckets[short, labels], strict=True):
            seen += count
            lines.append(f"{name}_bucket{_written((*labels, ('le', bound)))} {seen}")
        return [*lines, f"{name}_sum{_written(labels)} {_number(total)}", f"{name}_count{_written(labels)} {seen}"]


def _key(name: str, labels: dict[str, str]) -> tuple[str, _Labels]:
    if name not in METRICS:
        raise KeyError(name)
    return name, tuple(sorted(labels.items())) if len(labels) > 1 else tuple(labels.items())


def _number(value: float) -> str:
    """Exact: a counter over a million must still show every step."""
    return str(int(value)) if value == int(value) else repr(value)


def _written(labels: _Labels) -> str:
    if not labels:
        return ""
    escaped = ((name, value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")) for name, value in labels)
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped) + "}"
