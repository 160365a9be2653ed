"""`podium dev`: run an agent here, restart it at every save, talk to it."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from podium.cli.failures import ConfigurationError
from podium.cli.place import ADDRESS_NAME, DATA_NAME, Place, find_data, find_settings
from podium.cli.platform.ports import COORDINATOR_PORT, GATEWAY_PORT, choose_port
from podium.cli.platform.running import RunningPlatform
from podium.cli.project import provide_sdk

if TYPE_CHECKING:
    from podium.cli.chat.conversation import Conversation
    from podium.cli.development.reloading import Reloader
    from podium.cli.development.watching import State
    from podium.client import ClientSettings, PodiumClient


@click.command("dev")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False, exists=True), default=".")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Data directory [nearest .podium].")
@click.option("--thinking", "show_thinking", is_flag=True, help="Show thoughts instead of folding them.")
def command(directory: Path, data: Path | None, *, show_thinking: bool) -> None:
    """Run the agent in DIRECTORY on a platform of its own (or the one that runs already) and talk to it.

    At every save the agent is restarted with its state, conversation and workspace.
    """
    provide_sdk(directory)
    asyncio.run(_develop(directory.resolve(), data, show_thinking=show_thinking))


async def _develop(directory: Path, data: Path | None, *, show_thinking: bool) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    place = find_data(Path.cwd(), os.environ, data) or directory / DATA_NAME
    with contextlib.suppress(asyncio.CancelledError):
        async with _platform(place) as settings:
            from podium.client import PodiumClient

            async with PodiumClient(settings) as podium:
                await _run_agent(podium, directory, place, show_thinking=show_thinking)


@contextlib.asynccontextmanager
async def _platform(data: Path) -> "AsyncIterator[ClientSettings]":
    """The platform that runs on `data`, or one that lives as long as this command."""
    if Place(data, os.environ).read(ADDRESS_NAME) is not None or os.environ.get("PODIUM_URL"):
        yield find_settings(Path.cwd(), os.environ, data, admin=False)
        return
    environment = dict(os.environ)
    for variable, default in (("GATEWAY_PORT", GATEWAY_PORT), ("COORDINATOR_PORT", COORDINATOR_PORT)):
        environment[variable] = str(_free(environment, variable, default))
    platform = RunningPlatform(data, environment, lambda text: click.echo(text, err=True), with_diminuendo=False)
    try:
        await platform.start()
        yield find_settings(Path.cwd(), {}, data, admin=False)
    finally:
        await platform.stop()


def _free(environment: dict[str, str], variable: str, default: int) -> int:
    """The port asked for; the usual one; or any, when the usual one is taken."""
    try:
        return choose_port(environment, variable, default)
    except ConfigurationError:
        if environment.get(variable):
            raise
        return choose_port({variable: "0"}, variable, default)


async def _run_agent(podium: "PodiumClient", directory: Path, data: Path, *, show_thinking: bool) -> None:
    from podium.base.clock import SystemClock
    from podium.base.tasks import TaskOwner
    from podium.cli.chat.opening import make_conversation
    from podium.cli.development.reloading import BrokenProjectError, Reloader
    from podium.cli.development.watching import state_of

    known = state_of(directory)  # before they are uploaded: what is saved from here on is not running yet
    reloader = Reloader(podium, directory, SystemClock())
    conversation, _ = make_conversation(data, show_thinking=show_thinking)
    tasks = TaskOwner("dev")
    try:
        try:
            running = await reloader.switch(await reloader.upload())
        except BrokenProjectError as error:
            raise ConfigurationError(str(error)) from error
        conversation.note(f"{running.deployment_id} runs; save a file to restart it, Ctrl-D leaves")
        conversation.attach(await podium.connect(running.instance_id))
        tasks.start(_watch(podium, reloader, conversation, directory, known), "watch")
        await conversation.run()
    finally:
        await tasks.close()
        await conversation.close()
        await reloader.close()


async def _watch(
    podium: "PodiumClient", reloader: "Reloader", conversation: "Conversation", directory: Path, known: "State"
) -> None:
    from podium.cli.development.watching import changes

    async for names in changes(directory, known):
        await _reload(podium, reloader, conversation, names)


async def _reload(podium: "PodiumClient", reloader: "Reloader", conversation: "Conversation", names: list[str]) -> None:
    from podium.cli.development.reloading import BrokenProjectError
    from podium.client import PodiumConnectionError

    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        deployment_id = await reloader.upload()
    except (BrokenProjectError, PodiumConnectionError) as error:
        conversation.note(f"✗ not restarted: {error}")
        return
    seen = await conversation.detach()
    try:
        await reloader.switch(deployment_id)
        conversation.note(f"↻ {', '.join(names)}: restarted in {loop.time() - began:.2f} s")
    except PodiumConnectionError as error:
        conversation.note(
            "\n".join([f"✗ {error.detail}", *(f"    {line}" for line in reloader.untold(error.logs)[-12:])])
        )
        if reloader.running is not None:
            conversation.note("the version before runs on")
    if reloader.running is not None:
        conversation.attach(await podium.connect(reloader.running.instance_id, seen))
