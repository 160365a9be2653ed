"""The reference names everything that the command and the library have."""

from pathlib import Path

import click
import pytest

import chronicle
from chronicle.cli.app import chronicle as command
from chronicle.model import errors

PAGE = (Path(__file__).parents[4] / "docs" / "reference" / "chronicle.md").read_text()


@pytest.mark.parametrize("name", sorted(command.commands))
def test_every_command_is_described_with_all_its_options(name: str) -> None:
    section = PAGE.split(f"### `chronicle {name}", 1)[1].split("\n### ", 1)[0]
    for option in command.commands[name].params:
        if isinstance(option, click.Option) and option.name not in ("as_json", "workspace"):
            assert f"`{', '.join(option.opts)}`" in section


def test_every_command_answers_in_json_and_explains_itself() -> None:
    for one in command.commands.values():
        assert "--json" in {name for option in one.params for name in option.opts}
        assert one.help


def test_every_public_method_and_error_is_named() -> None:
    methods = [name for name in dir(chronicle.Workspace) if not name.startswith("_")]
    missing = [
        name for name in methods if f"`{name}" not in PAGE and f" {name}(" not in PAGE and f", `{name}" not in PAGE
    ]
    assert set(missing) <= {"close", "create", "open", "holder", "forget_user"}
    named = [name for name in vars(errors) if name.endswith("Error") and name != "ChronicleError"]
    assert [name for name in named if f"`{name}`" not in PAGE] == []


def test_what_the_package_exports_is_there() -> None:
    for name in chronicle.__all__:
        assert getattr(chronicle, name) is not None
    with pytest.raises(AttributeError):
        _ = chronicle.nothing_of_the_kind


def test_the_public_names_are_these() -> None:
    assert chronicle.__all__ == [
        "ChangedMeanwhileError", "Checkpoint", "CheckpointNotFoundError", "ChronicleError", "Daemon", "DaemonProcess",
        "DamagedError", "Difference", "Entry", "FileNotFoundInHistoryError", "Finding", "InvalidInputError",
        "InvalidPathError", "Iteration", "IterationNotFoundError", "NotFoundError", "NotSupportedError",
        "QuotaExceededError", "Restored", "Retention", "Settings", "Status", "StorageError", "Version",
        "VersionDroppedError", "Watch", "Workspace", "WorkspaceBusyError", "WorkspaceNotFoundError", "remove_tree",
    ]  # fmt: skip
