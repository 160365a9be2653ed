"""Medians, percentiles and tables; the same for every benchmark."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


def median(values: Sequence[float]) -> float:
    """The median; NaN of nothing."""
    return statistics.median(values) if values else float("nan")


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0–1) of the values do not exceed (nearest rank)."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass(frozen=True)
class Row:
    """One line of a table: what, how much, what was aimed at, and what a peer gave in the same run."""

    what: str
    figure: str
    aim: str = ""
    note: str = ""


def table(title: str, rows: Sequence[Row]) -> str:
    """The rows as a Markdown table under a heading."""
    lines = [f"\n## {title}\n", "| what | figure | aim | note |", "| --- | --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {r.what} | {r.figure} | {r.aim} | {r.note} |" for r in rows)])
