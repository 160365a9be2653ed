"""Counters, gauges and histograms in the Prometheus text format (version 0.0.4).

Our own because it is small and on the hot path: an increment is one dictionary update. Names, units and meanings are in
`podium.base.metric_names`, and nowhere else.
"""

from bisect import bisect_left
from collections.abc import Callable
from itertools import groupby
from typing import Final, NamedTuple

from podium.base.metric_names import HISTOGRAM_BOUNDS, METRICS, Daemon

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_Labels = tuple[tuple[str, str], ...]


class Sample(NamedTuple):
    """One value, by its short name (a key of `METRICS`) and its labels.

    Of a histogram `value` is the sum, and `buckets` counts what fell into each, the last one beyond all bounds.
    """

    name: str
    labels: _Labels
    value: float
    buckets: tuple[int, ...] = ()


class Metrics:
    """The metrics of one daemon. A name that is not in `METRICS`, or labels that are not its own, are a KeyError.

    Counters of `daemon` begin at 0, where they have no labels: of one that appears with its first event, Prometheus sees no increase.
    """

    def __init__(self, daemon: Daemon | None = None) -> None:
        self._values: dict[tuple[str, _Labels], float] = {
            (short, ()): 0.0
            for short, metric in METRICS.items()
            if daemon in metric.of and metric.kind == "counter" and not metric.labels
        }
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
        key = _key(name, labels) if labels else (name, ())
        buckets = self._buckets.get(key)
        if buckets is None:
            key = _key(name, labels)
            buckets = self._buckets[key] = [0] * (len(HISTOGRAM_BOUNDS) + 1)
            self._values[key] = 0.0
        buckets[bisect_left(HISTOGRAM_BOUNDS, value)] += 1
        self._values[key] += value

    def samples(self) -> list[Sample]:
        """What stands now, in the order of `METRICS`, then of labels. For the event loop's thread."""
        values = {**self._values, **{key: read() for key, read in self._read.items()}}
        order = {name: number for number, name in enumerate(METRICS)}
        return [
            Sample(name, labels, values[name, labels], tuple(self._buckets.get((name, labels), ())))
            for name, labels in sorted(values, key=lambda key: (order[key[0]], key[1]))
        ]

    def page(self) -> str:
        """What `GET /metrics` answers."""
        lines: list[str] = []
        for short, samples in groupby(self.samples(), lambda sample: sample.name):
            metric = METRICS[short]
            lines += [f"# HELP {metric.name} {metric.meaning}", f"# TYPE {metric.name} {metric.kind}"]
            for sample in samples:
                lines += _histogram(sample) if metric.kind == "histogram" else _number_line(sample)
        return "\n".join(lines) + "\n"


def _number_line(sample: Sample) -> list[str]:
    return [f"{METRICS[sample.name].name}{_written(sample.labels)} {_number(sample.value)}"]


def _histogram(sample: Sample) -> list[str]:
    lines, seen, name = [], 0, METRICS[sample.name].name
    for bound, count in zip((*map(str, HISTOGRAM_BOUNDS), "+Inf"), sample.buckets, strict=True):
        seen += count
        lines.append(f"{name}_bucket{_written((*sample.labels, ('le', bound)))} {seen}")
    total, labels = _number(sample.value), _written(sample.labels)
    return [*lines, f"{name}_sum{labels} {total}", f"{name}_count{labels} {seen}"]


def _key(name: str, labels: dict[str, str]) -> tuple[str, _Labels]:
    given = tuple(sorted(labels.items())) if len(labels) > 1 else tuple(labels.items())
    if METRICS[name].labels != tuple(label for label, _ in given):
        raise KeyError(f"{name} has the labels {METRICS[name].labels}")
    return name, given


def _number(value: float) -> str:
    """Exact: a counter over a million must still show every step."""
    return str(int(value)) if value == int(value) else repr(value)


def _written(labels: _Labels) -> str:
    if not labels:
        return ""
    escaped = ((name, value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")) for name, value in labels)
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped) + "}"
