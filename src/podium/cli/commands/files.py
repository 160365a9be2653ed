"""`podium files`: the files of an agent, awake, asleep or stopped, now and as they were."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from podium.cli.moments import agent_named
from podium.cli.printer import Printer, moment, table
from podium.cli.reach import with_client
from podium.wire.units import size

if TYPE_CHECKING:
    from podium.client import PodiumClient
    from podium.client.files import IterationMeta
    from podium.wire.files import FileIteration

_ITERATION = click.IntRange(0)
_PIECE = 1024 * 1024


@click.group("files")
def command() -> None:
    """List, read, write and restore the files of AGENT (or of an instance): now, and as they were at any moment."""


@command.command("ls")
@click.argument("agent")
@click.argument("path", default="")
@click.option("--depth", "-d", type=click.IntRange(1, 16), default=1, show_default=True, help="Levels.")
@click.option("--at", type=_ITERATION, help="As it was at this iteration.")
@click.option("--long", "-l", "is_long", is_flag=True, help="With size, time and iteration.")
@with_client()
async def list_files(
    podium: "PodiumClient", printer: Printer, agent: str, path: str, *, depth: int, at: int | None, is_long: bool
) -> None:
    """List what the directory PATH holds."""
    entries = await podium.agent_files.list(await agent_named(podium, agent), path or None, depth, at=at)
    if printer.as_json:
        printer.json(entries)
        return
    if not is_long:
        for entry in entries:
            printer.line(_shown(entry.path, entry.type))
        return
    rows = [
        [str(entry.iteration), size(entry.size), moment(entry.mtime), _shown(entry.path, entry.type)]
        for entry in entries
    ]
    for line in table(["iteration", "size", "modified", "path"], rows):
        printer.line(line)


@command.command("cat")
@click.argument("agent")
@click.argument("path")
@click.option("--at", type=_ITERATION, help="As it was at this iteration.")
@with_client()
async def cat(podium: "PodiumClient", printer: Printer, agent: str, path: str, *, at: int | None) -> None:
    """Print the file PATH."""
    agent_id = await agent_named(podium, agent)
    if printer.as_json:
        found = podium.agent_files.read(agent_id, path) if at is None else podium.agent_files.at(agent_id, path, at)
        printer.json(await found)
        return
    async with podium.agent_files.stream(agent_id, path, at=at) as pieces:
        await _write(pieces, sys.stdout.buffer)


@command.command("put")
@click.argument("agent")
@click.argument("path")
@click.argument("source", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--if-hash", help="Only when the file has this hash.")
@click.option("--new", is_flag=True, help="Only when nothing is there.")
@with_client()
async def put(
    podium: "PodiumClient", printer: Printer, agent: str, path: str, source: Path, *, if_hash: str | None, new: bool
) -> None:
    """Write the local file SOURCE (- for stdin) to PATH."""
    agent_id = await agent_named(podium, agent)
    if str(source) == "-":
        content: bytes | AsyncIterator[bytes] = sys.stdin.buffer.read()
        made = await podium.agent_files.write(agent_id, path, content, if_hash=if_hash, new=new)
    else:
        try:
            opened = source.open("rb")
        except OSError as error:
            raise click.UsageError(f"{source}: {error.strerror}") from error
        with opened as file:
            made = await podium.agent_files.write(agent_id, path, _pieces(file), if_hash=if_hash, new=new)
    printer.value(made, f"{made.path} is iteration {made.iteration}")


@command.command("rm")
@click.argument("agent")
@click.argument("path")
@with_client()
async def remove(podium: "PodiumClient", printer: Printer, agent: str, path: str) -> None:
    """Remove the file or directory PATH; its versions stay in the history."""
    gone = await podium.agent_files.remove(await agent_named(podium, agent), path)
    printer.value(gone, f"{gone.path} is gone since iteration {gone.iteration}")


@command.command("history")
@click.argument("agent")
@click.argument("path", required=False)
@with_client()
async def history(podium: "PodiumClient", printer: Printer, agent: str, path: str | None) -> None:
    """List the versions of PATH, newest first; without PATH the newest changes of the whole workspace."""
    agent_id = await agent_named(podium, agent)
    rows: list[IterationMeta | FileIteration] = []
    if path is None:
        head = (await podium.agent_files.changes(agent_id, limit=1)).head
        rows += (await podium.agent_files.changes(agent_id, after=max(0, head - 100))).iterations[::-1]
    else:
        rows += await podium.agent_files.history(agent_id, path)
    if printer.as_json:
        printer.json(rows)
        return
    for line in table(["iteration", "change", "size", "when", "turn", "path"], [_row(row) for row in rows]):
        printer.line(line)


@command.command("at")
@click.argument("agent")
@click.argument("path")
@click.argument("iteration", type=_ITERATION)
@with_client()
async def read_at(podium: "PodiumClient", printer: Printer, agent: str, path: str, iteration: int) -> None:
    """Print the file PATH as it was at ITERATION."""
    agent_id = await agent_named(podium, agent)
    if printer.as_json:
        printer.json(await podium.agent_files.at(agent_id, path, iteration))
        return
    async with podium.agent_files.stream(agent_id, path, at=iteration) as pieces:
        await _write(pieces, sys.stdout.buffer)


@command.command("diff")
@click.argument("agent")
@click.argument("before", type=_ITERATION)
@click.argument("after", type=_ITERATION, required=False)
@click.option("--path", help="Only this file or directory.")
@with_client()
async def diff(
    podium: "PodiumClient", printer: Printer, agent: str, before: int, *, after: int | None, path: str | None
) -> None:
    """Show what changed between two iterations (now, without AFTER); `podium diff` takes turns and labels as well."""
    agent_id = await agent_named(podium, agent)
    if printer.as_json:
        printer.json(await podium.agent_files.compare(agent_id, before, after, path))
        return
    async with podium.agent_files.unified(agent_id, before, after, path) as pieces:
        await _write(pieces, sys.stdout.buffer)


@command.command("restore")
@click.argument("agent")
@click.argument("iteration", type=_ITERATION)
@click.argument("path", required=False)
@with_client()
async def restore(podium: "PodiumClient", printer: Printer, agent: str, iteration: int, path: str | None) -> None:
    """Take the workspace, or PATH in it, back to ITERATION. It is recorded: restoring to before it undoes it."""
    agent_id = await agent_named(podium, agent)
    done = await podium.agent_files.restore(agent_id, iteration, path)
    printer.value(done, f"as at iteration {iteration}; that is iteration {done.iteration}")


@command.command("export")
@click.argument("agent")
@click.argument("target", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--at", type=_ITERATION, help="As it was at this iteration.")
@click.option("--path", help="Only this directory.")
@with_client()
async def export(
    podium: "PodiumClient", printer: Printer, agent: str, target: Path, *, at: int | None, path: str | None
) -> None:
    """Download the workspace as tar.gz to the local file TARGET (- for stdout)."""
    agent_id = await agent_named(podium, agent)
    async with podium.agent_files.archive(agent_id, at=at, path=path) as pieces:
        if str(target) == "-":
            await _write(pieces, sys.stdout.buffer)
            return
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            with beside.open("wb") as sink:
                written = await _write(pieces, sink)
            beside.rename(target)
        finally:
            beside.unlink(missing_ok=True)
    printer.value({"file": str(target), "size": written}, f"{target} ({size(written)})")


def _shown(path: str, kind: str) -> str:
    return f"{path}/" if kind == "directory" else path


def _row(row: "IterationMeta | FileIteration") -> list[str]:
    where = f"{row.from_} → {row.path}" if row.from_ is not None else row.path
    shown = size(row.size) if row.size is not None else "-"
    return [str(row.iteration), row.kind, shown, moment(row.timestamp), row.turn_id or "-", where]


async def _write(pieces: AsyncIterator[bytes], sink: IO[bytes]) -> int:
    written = 0
    async for piece in pieces:
        written += sink.write(piece)
    sink.flush()
    return written


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, _PIECE):
        yield piece
