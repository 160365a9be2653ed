"""`podium up`: the whole platform on this host."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

import click

from podium.base.config import boolean
from podium.cli.failures import ConfigurationError
from podium.cli.place import DATA_NAME, DEV_KEY_NAME
from podium.cli.platform.running import Addresses, RunningPlatform


@click.command("up")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=DATA_NAME,
    envvar="PODIUM_DATA",
    show_default=True,
    help="Where everything is kept.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the addresses as JSON.")
def command(data: Path, *, as_json: bool) -> None:
    """Run gateway, coordinator and Diminuendo here until Ctrl-C.

    Ports: GATEWAY_PORT (8090), COORDINATOR_PORT (9090) and DIMINUENDO_PORT (8080); 0 takes a free one. With
    DIMINUENDO_ENABLE=false there is no Diminuendo. The other commands find the address and the development key by
    themselves when they are run in this directory or below it; the key opens Diminuendo, too.
    """
    asyncio.run(_up(data, as_json=as_json))


async def _up(data: Path, *, as_json: bool) -> None:
    platform = RunningPlatform(
        data, os.environ, lambda text: click.echo(text, err=True), with_diminuendo=wants_diminuendo(os.environ)
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, platform.halt)
    try:
        addresses = await platform.start()
        if addresses is not None:
            _tell(addresses, as_json=as_json)
            await platform.run()
    finally:
        await platform.stop()


def _tell(addresses: Addresses, *, as_json: bool) -> None:
    if as_json:
        click.echo(
            json.dumps(
                {
                    "gateway": addresses.gateway,
                    "coordinator": addresses.coordinator,
                    "diminuendo": addresses.diminuendo,
                    "data": str(addresses.data),
                    "seconds": round(since_start(), 3),
                }
            )
        )
        return
    bold = click.style
    click.echo(f"{bold('podium is up', bold=True, fg='green')} in {since_start():.2f} s")
    click.echo(f"  gateway      {addresses.gateway}   (reference: {addresses.gateway}/docs)")
    click.echo(f"  coordinator  {addresses.coordinator}")
    if addresses.diminuendo is not None:
        click.echo(f"  diminuendo   {addresses.diminuendo}   (WebSocket: /ws)")
    click.echo(f"  data         {addresses.data}   (key: {addresses.data / DEV_KEY_NAME})")
    click.echo("Ctrl-C stops everything.")


def wants_diminuendo(environment: Mapping[str, str]) -> bool:
    """What `DIMINUENDO_ENABLE` says; absent: yes.

    Raises:
        ConfigurationError: it says neither true nor false.
    """
    try:
        return boolean(environment.get("DIMINUENDO_ENABLE") or "true")
    except ValueError as error:
        raise ConfigurationError(f"DIMINUENDO_ENABLE: {error}") from error


def since_start() -> float:
    """Seconds since this process was started, by the kernel's account (to a hundredth)."""
    fields = Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()
    started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started
