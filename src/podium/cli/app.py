"""The group of all commands, each imported when it is used: `podium --help` loads none of them."""

import importlib
from typing import Final

import click

COMMANDS: Final[dict[str, str]] = {
    "up": "Run the whole platform on this host.",
    "new": "Make a new agent that works.",
    "dev": "Run an agent here, restart it at every save, talk to it.",
    "deploy": "Pack an agent and upload it.",
    "create": "Start an instance of a deployment.",
    "ps": "List instances.",
    "show": "Show one instance.",
    "stop": "Stop an instance; its agent's data stay.",
    "logs": "Print an instance's log.",
    "events": "Print an instance's events.",
    "send": "Send a message and print the answer.",
    "chat": "Talk to an agent.",
    "acp": "Speak the Agent Client Protocol: an agent for an editor.",
    "cancel": "Cancel the running turn.",
    "state": "Print an agent's state.",
    "fork": "Make a new agent that begins as another was.",
    "rewind": "Take an agent back to a moment.",
    "budget": "Show what an agent may spend, or change it.",
    "diff": "Show what changed in an agent's files.",
    "files": "List, read, write and restore an agent's files.",
    "requests": "List what an agent asks: questions and permissions.",
    "answer": "Answer a question or permission.",
    "agents": "List or erase durable agents.",
    "deployments": "List or remove deployments.",
    "keys": "Make, list and revoke keys.",
    "tenants": "Show what a tenant's agents may spend, or change it.",
    "secrets": "Set, list and remove secrets of an agent type.",
    "config": "Read and change the runtime configuration.",
    "coordinators": "List hosts, or drain one.",
    "gateway": "Run the gateway alone.",
    "coordinator": "Run the coordinator alone.",
    "doctor": "Check what this host can do.",
    "completion": "Print the completion script of a shell.",
}
"""Command → its one-line help. The module of a command has its name; its click command is called `command`."""


class LazyGroup(click.Group):
    """A group whose commands are modules of `podium.cli.commands`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order people meet them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        """The command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        found = importlib.import_module(f"podium.cli.commands.{cmd_name}").command
        if not isinstance(found, click.Command):
            raise TypeError(f"podium.cli.commands.{cmd_name}.command is no click command")
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """The list in `--help`, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command; an unknown one is refused with the nearest name."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            import difflib

            near = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"no command {name!r}{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="podium", prog_name="podium")
def podium() -> None:
    """Deploys and runs AI agents.

    Begin with `podium new my-agent`, then `podium dev my-agent`.
    """
