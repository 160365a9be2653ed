"""How answers are shown: for people, or as JSON (one object, or one line for each of many)."""

import json
import os
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from chronicle.model.iterations import Iteration

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def as_json_option(function: F) -> F:
    """`--json`."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Answer in JSON: an object, or a line for each of many."
    )(function)


def plain(value: object) -> Any:
    """A value as JSON has it: byte strings are text (bytes that are no UTF-8 as lone surrogates, `os.fsdecode`), digests hex."""
    if isinstance(value, msgspec.Struct):
        fields = {name: getattr(value, attribute) for attribute, name in _names(value)}
        return {
            name: item.hex() if name == "digest" and isinstance(item, bytes) else plain(item)
            for name, item in fields.items()
        }
    if isinstance(value, bytes):
        return os.fsdecode(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def _names(value: msgspec.Struct) -> Iterable[tuple[str, str]]:
    return zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)


def show(value: object, text: str, *, as_json: bool) -> None:
    """One answer."""
    click.echo(json.dumps(plain(value)) if as_json else text)


def show_each(values: Iterable[T], text: Callable[[T], str], *, as_json: bool) -> None:
    """Many answers, each as it comes."""
    for value in values:
        click.echo(json.dumps(plain(value)) if as_json else text(value))


def iteration_line(iteration: Iteration) -> str:
    """`     42  2026-07-01 12:00:00  modify   notes.md  1.2 KiB  turn_7`."""
    moment = datetime.fromtimestamp(iteration.timestamp / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    came = f"  (from {os.fsdecode(iteration.from_)})" if iteration.from_ is not None else ""
    size = f"  {size_of(iteration.size)}" if iteration.size is not None else ""
    turn = f"  {iteration.turn_id}" if iteration.turn_id else ""
    path = os.fsdecode(iteration.path) or "."
    return f"{iteration.iteration:>8}  {moment}  {iteration.kind:<8} {path}{came}{size}{turn}"


def size_of(size: int) -> str:
    """Bytes for people."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"
