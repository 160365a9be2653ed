"""The command `diminuendo`: serve, and the API keys of clients."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from diminuendo.auth.key_file import add_key, known_keys, remove_key
from diminuendo.domain.members import Role
from diminuendo.settings import KEYS_NAME
from podium.base.clock import SystemClock
from podium.base.config import CONFIG_EXIT, seconds
from podium.base.daemon import start_daemon


def main() -> None:
    """Runs the command."""
    diminuendo()


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="podium", prog_name="diminuendo")
def diminuendo() -> None:
    """Sessions of people with agents, for their programs."""


@diminuendo.command(
    "serve", context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def serve(arguments: tuple[str, ...]) -> None:
    """Run Diminuendo, configured by the environment."""
    from diminuendo.app import run
    from diminuendo.settings import DiminuendoSettings

    sys.exit(start_daemon("diminuendo serve", DiminuendoSettings, run, arguments))


@diminuendo.command("check")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default="./data",
    envvar="DIMINUENDO_DATA",
    show_default=True,
    help="The data directory.",
)
def check(data: Path) -> None:
    """Look for damage in the databases of sessions. Stop Diminuendo before."""
    from diminuendo.checking import findings

    found = list(findings(data))
    for finding in found:
        click.echo(finding)
    sys.exit(1 if found else 0)


@diminuendo.group("keys")
def keys() -> None:
    """Make, list and take back API keys of clients. A running Diminuendo heeds changes at once."""


_file = click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file of keys [DIMINUENDO_KEYS, or keys.json in DIMINUENDO_DATA].",
)


@keys.command("create")
@click.argument("user_id")
@click.option("--tenant", required=True, help="Whose sessions the key opens.")
@click.option("--role", type=click.Choice([role.value for role in Role]), default="member", show_default=True)
@click.option("--email", default="", help="Told to clients.")
@click.option("--expires", "expires", help="How long it is valid, such as 90d [for ever].")
@_file
def create(user_id: str, tenant: str, role: str, email: str, expires: str | None, path: Path | None) -> None:
    """Make a key for USER_ID and print it: this is the only time it is shown."""
    with _refusing():
        ends = None if expires is None else SystemClock().now_ms() + round(seconds(expires) * 1000)
        key, record = add_key(_path(path), user_id, tenant, Role(role), email, ends)
    click.echo(f"{record.key_id}: {user_id} of {tenant}, {role}", err=True)
    click.echo(key)


@keys.command("list")
@_file
def list_keys(path: Path | None) -> None:
    """List keys, without what is secret of them."""
    with _refusing():
        found = known_keys(_path(path))
    for record in found:
        ends = "-" if record.expires_at is None else str(record.expires_at)
        click.echo(
            "\t".join((record.key_id or record.key_hash[:12], record.tenant_id, record.user_id, record.role, ends))
        )


@keys.command("revoke")
@click.argument("key_id")
@_file
def revoke(key_id: str, path: Path | None) -> None:
    """Take a key back: within seconds its connections end."""
    with _refusing():
        found = remove_key(_path(path), key_id)
    if not found:
        raise click.ClickException(f"there is no key {key_id}")
    click.echo(key_id)


def _path(given: Path | None) -> Path:
    if given is not None:
        return given
    named = os.environ.get("DIMINUENDO_KEYS")
    return Path(named) if named else Path(os.environ.get("DIMINUENDO_DATA") or "./data") / KEYS_NAME


@contextmanager
def _refusing() -> Iterator[None]:
    """What is wrong with the file or a value, in a sentence."""
    try:
        yield
    except (OSError, ValueError) as error:
        click.echo(f"diminuendo: {error}", err=True)
        sys.exit(CONFIG_EXIT)
