"""`podium config`: the runtime layer of every agent's configuration."""

import json
from typing import TYPE_CHECKING, Any

import click

from podium.cli.printer import Printer
from podium.cli.reach import json_values, with_client

if TYPE_CHECKING:
    from podium.client import PodiumClient


@click.group("config")
def command() -> None:
    """Read and change the runtime configuration; every agent hears of a change."""


@command.command("show")
@with_client()
async def show(podium: "PodiumClient", printer: Printer) -> None:
    """Print the runtime layer."""
    view = await podium.config.get()
    printer.note(printer.dim(f"version {view.version}"))
    printer.value(view, json.dumps(view.config, indent=2, ensure_ascii=False))


@command.command("set")
@click.argument("pairs", nargs=-1, required=True, metavar="KEY=VALUE...")
@with_client()
async def set_config(podium: "PodiumClient", printer: Printer, pairs: tuple[str, ...]) -> None:
    """Set values; a dotted KEY nests, VALUE is JSON when it can be."""
    current = (await podium.config.get()).config
    view = await podium.config.put(merged(current, json_values(pairs) or {}))
    printer.value(view, json.dumps(view.config, indent=2, ensure_ascii=False))


@command.command("unset")
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@with_client()
async def unset(podium: "PodiumClient", printer: Printer, keys: tuple[str, ...]) -> None:
    """Remove values; a dotted KEY reaches inside."""
    current = (await podium.config.get()).config
    for key in keys:
        current = without(current, key.split("."))
    view = await podium.config.put(current)
    printer.value(view, json.dumps(view.config, indent=2, ensure_ascii=False))


@command.command("models")
@with_client()
async def models(podium: "PodiumClient", printer: Printer) -> None:
    """List the models agents may use."""
    items = await podium.config.models()
    rows = [(item.id, item.provider or "-", " ".join(item.capabilities) or "-") for item in items]
    printer.rows(items, ("model", "provider", "capabilities"), rows)


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with `changes` put over it, at any depth."""
    result = dict(base)
    for key, value in changes.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def without(base: dict[str, Any], path: list[str]) -> dict[str, Any]:
    """`base` without the value at `path`; a path that is not there changes nothing."""
    head, *rest = path
    if not rest:
        return {key: value for key, value in base.items() if key != head}
    below = base.get(head)
    return {**base, head: without(below, rest)} if isinstance(below, dict) else base
