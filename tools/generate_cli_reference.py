"""Writes docs/reference/cli.md from the commands themselves; `tests/unit/cli/test_reference.py` checks that it is fresh.

Usage: python tools/generate_cli_reference.py
"""

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from podium.cli.app import COMMANDS, podium
from podium.cli.failures import EXIT_CONFIGURATION, EXIT_INTERRUPTED, EXIT_PIPE, EXIT_USAGE
from podium.wire.errors import MAPPINGS

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "cli.md"

HEAD = """\
# Command line

Generated from the commands by `tools/generate_cli_reference.py`; `podium COMMAND --help` says the same.

`--json` makes every command that prints data print JSON instead: one value, or one value a line for what goes on (`logs -f`,
`events`). Results go to stdout, remarks and errors to stderr. Colours and progress bars appear on a terminal only, and not
with `NO_COLOR`. Completion: `eval "$(podium completion bash)"`, likewise for zsh and fish.

## Where it finds the platform

| what | looked for, in this order |
| --- | --- |
| data directory | `--data` · `PODIUM_DATA` · the nearest `.podium` of this directory and those above it |
| address | `PODIUM_URL` · the address `podium up` left in the data directory · `http://127.0.0.1:8090` |
| key | `PODIUM_API_KEY` · the development key in the data directory |
| admin key (`keys`, `coordinators`, `secrets list`) | `PODIUM_ADMIN_KEY` · `ADMIN_API_KEY` · the admin key in the data directory |

INSTANCE may be an instance id, an agent id (its living instance), or an agent type (its newest living instance).
"""


def reference() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_exit_codes(), *_commands()]).rstrip() + "\n"


def _exit_codes() -> Iterator[str]:
    codes: dict[int, list[str]] = {}
    for code, mapping in MAPPINGS.items():
        codes.setdefault(mapping.exit, []).append(f"`{code.value}`")
    own = {
        0: "it worked",
        EXIT_USAGE: "the command was used wrongly",
        EXIT_CONFIGURATION: "the configuration is wrong or missing, or a port or data directory is taken",
        EXIT_INTERRUPTED: "Ctrl-C",
        EXIT_PIPE: "whoever read the output went away",
    }
    yield "## Exit codes\n"
    yield "| code | meaning |\n| --- | --- |"
    for number in sorted({*codes, *own}):
        yield f"| {number} | {own.get(number) or ', '.join(codes[number])} |"
    yield ""


def _commands() -> Iterator[str]:
    root = click.Context(podium, info_name="podium")
    for name in COMMANDS:
        command = podium.get_command(root, name)
        assert command is not None
        yield from _command(command, click.Context(command, info_name=name, parent=root), 2)


def _command(command: click.Command, context: click.Context, depth: int) -> Iterator[str]:
    yield f"{'#' * depth} {context.command_path}\n"
    if isinstance(command, click.Group):
        yield _help(command) + "\n"
        for name, inner in command.commands.items():
            yield from _command(inner, click.Context(inner, info_name=name, parent=context), depth + 1)
        return
    pieces = " ".join(command.collect_usage_pieces(context))
    yield f"```text\n{context.command_path} {pieces}\n```\n"
    yield _help(command) + "\n"
    records = [record for record in _options(command, context) if not record[0].startswith(("-h", "--help"))]
    if records:
        yield "| option | meaning |\n| --- | --- |"
        yield from (f"| `{names}` | {meaning} |" for names, meaning in records)
        yield ""


def _options(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and isinstance(parameter, click.Option):
            yield record[0].replace("|", "\\|"), " ".join(record[1].split()).replace("|", "\\|")


def _help(command: click.Command) -> str:
    text = inspect.cleandoc(command.help or "")
    paragraphs = text.split("\n\n")
    return "\n\n".join(
        f"```text\n{p.removeprefix(chr(8)).strip()}\n```" if p.startswith("\b") else p for p in paragraphs
    )


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(reference())
