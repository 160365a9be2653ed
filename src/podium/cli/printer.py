"""What commands print: for people, or with `--json` for programs."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import click

from podium.wire.errors import as_json

STATUS_COLOURS: Final[Mapping[str, str]] = {
    "ready": "green",
    "running": "cyan",
    "waiting": "yellow",
    "asleep": "blue",
    "failed": "red",
    "terminated": "bright_black",
    "active": "green",
    "draining": "yellow",
    "open": "yellow",
}


def colours_wanted(environment: Mapping[str, str], *, terminal: bool) -> bool:
    """Colours only on a terminal that has them, and not with `NO_COLOR` (no-color.org)."""
    return terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


class Printer:
    """Prints results on stdout; notes for people go to stderr."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.colours = colours_wanted(os.environ, terminal=sys.stdout.isatty())

    def json(self, value: Any) -> None:
        """One value as a line of JSON."""
        click.echo(as_json(value))

    def rows(self, items: Sequence[Any], columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A list: all of `items` as JSON, or a table of `rows`."""
        if self.as_json:
            self.json(items)
            return
        for line in table(columns, list(rows)):
            self.line(line)

    def value(self, value: Any, text: str) -> None:
        """One thing: as JSON, or as text."""
        if self.as_json:
            self.json(value)
        else:
            self.line(text)

    def facts(self, value: Any, facts: Sequence[tuple[str, str]]) -> None:
        """One thing with its properties."""
        if self.as_json:
            self.json(value)
            return
        width = max(len(name) for name, _ in facts)
        for name, fact in facts:
            self.line(f"{self.dim(name.rjust(width))}  {fact}")

    def note(self, text: str) -> None:
        """Something a person may want to know; nothing with `--json`."""
        if not self.as_json:
            click.echo(text, err=True)

    def line(self, text: str) -> None:
        """A line on stdout."""
        click.echo(text, color=self.colours)

    def dim(self, text: str) -> str:
        """`text`, less bright."""
        return click.style(text, dim=True) if self.colours else text

    def status(self, status: str) -> str:
        """A status in its colour."""
        return click.style(status, fg=STATUS_COLOURS.get(status)) if self.colours else status


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table whose columns are as wide as they must be."""
    cells = [[name.upper() for name in columns], *rows]
    widths = [max(_width(row[index]) for row in cells) for index in range(len(columns))]
    return ["  ".join(_pad(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def moment(millis: int | None) -> str:
    """A time as people read it, in their own zone; `-` for none."""
    if millis is None:
        return "-"
    return datetime.fromtimestamp(millis / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _width(cell: str) -> int:
    return len(click.unstyle(cell))


def _pad(cell: str, width: int) -> str:
    return cell + " " * (width - _width(cell))
