"""Commands that talk to a server: the client, the printer and the options they share."""

import asyncio
import functools
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

import click

from podium.cli.place import find_settings
from podium.cli.printer import Printer

if TYPE_CHECKING:
    from podium.client import PodiumClient

P = ParamSpec("P")

data_option = click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), help="Data directory of `podium up` [nearest .podium]."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def with_client(
    *, admin: bool = False
) -> Callable[[Callable[Concatenate["PodiumClient", Printer, P], Awaitable[None]]], Callable[..., None]]:
    """Makes a coroutine `(podium, printer, …)` a click callback with the options `--data` and `--json`.

    `admin`: uses the admin key of `podium up` when there is one.
    """

    def decorate(
        work: Callable[Concatenate["PodiumClient", Printer, P], Awaitable[None]],
    ) -> Callable[..., None]:
        @data_option
        @json_option
        @functools.wraps(work)
        def callback(data: Path | None, as_json: bool, *args: P.args, **kwargs: P.kwargs) -> None:
            settings = find_settings(Path.cwd(), os.environ, data, admin=admin)

            async def run() -> None:
                from podium.client import PodiumClient

                async with PodiumClient(settings) as podium:
                    await work(podium, Printer(as_json=as_json), *args, **kwargs)

            asyncio.run(run())

        return callback

    return decorate


def assignments(pairs: tuple[str, ...], what: str) -> dict[str, str] | None:
    """`NAME=VALUE` arguments as a dict, None when there are none. `NAME` alone takes the value of that variable.

    Raises:
        click.UsageError: an argument is neither.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or (not equals and name not in os.environ):
            raise click.UsageError(f"{what} {pair!r}: write NAME=VALUE, or the NAME of a variable that is set")
        found[name] = value if equals else os.environ[name]
    return found or None


def json_values(pairs: tuple[str, ...]) -> dict[str, Any] | None:
    """`key.path=value` arguments as nested values; a value is JSON when it can be, else text. None when there are none.

    Raises:
        click.UsageError: an argument has no `=`.
    """
    import json

    found: dict[str, Any] = {}
    for pair in pairs:
        path, equals, text = pair.partition("=")
        if not path or not equals:
            raise click.UsageError(f"{pair!r}: write key=value")
        *parents, last = path.split(".")
        target = found
        for parent in parents:
            target = target.setdefault(parent, {})
            if not isinstance(target, dict):
                raise click.UsageError(f"{pair!r}: {parent!r} already has a value")
        try:
            target[last] = json.loads(text)
        except ValueError:
            target[last] = text
    return found or None
