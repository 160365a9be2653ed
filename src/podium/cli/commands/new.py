"""`podium new`: an agent that works."""

from pathlib import Path

import click

from podium.cli.failures import ConfigurationError
from podium.cli.printer import Printer
from podium.cli.project import provide_sdk
from podium.cli.scaffold import files_of
from podium.wire.ids import is_agent_type


@click.command("new")
@click.argument("name")
@click.option("--runtime", type=click.Choice(["python", "typescript"]), default="python", show_default=True)
@click.option("--directory", type=click.Path(path_type=Path, file_okay=False), help="Where [./NAME].")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(name: str, runtime: str, directory: Path | None, *, as_json: bool) -> None:
    """Make a new agent called NAME: code, manifest, test, README."""
    if not is_agent_type(name):
        raise click.UsageError(f"NAME {name!r}: use a-z, 0-9 and dashes, at most 63 characters, not a dash first")
    target = directory or Path(name)
    if target.exists() and any(target.iterdir()):
        raise ConfigurationError(f"{target} exists and is not empty; choose another NAME or --directory")
    files = files_of(name, runtime)
    for file, text in files.items():
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        (target / file).write_text(text)
    provide_sdk(target)
    printer = Printer(as_json=as_json)
    printer.value({"directory": str(target), "files": list(files)}, f"made {target}: {', '.join(files)}")
    printer.note(f"next: podium dev {target}")
