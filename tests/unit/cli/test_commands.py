"""The commands as a list: each loads, explains itself, and is described the same everywhere."""

import subprocess
import sys

import click
import pytest

from podium.cli.__main__ import main
from podium.cli.app import COMMANDS, podium
from podium.cli.commands.config import merged, without
from podium.cli.printer import colours_wanted, table
from podium.cli.reach import assignments, json_values
from podium.wire.units import size

RUN_ELSEWHERE = {"gateway", "coordinator"}
"""Their help is the daemon's own."""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_loads_and_its_help_begins_as_the_list_says(name: str) -> None:
    command = podium.get_command(click.Context(podium), name)
    assert command is not None
    assert command.name == name
    assert command.help


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - RUN_ELSEWHERE))
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith("Usage: podium " + name)


def test_help_imports_no_network_library() -> None:
    code = (
        "import sys; from podium.cli.__main__ import main; main(['--help'])\n"
        "heavy = {'aiohttp', 'rich', 'prompt_toolkit', 'asyncio', 'watchfiles', 'pathspec'} & set(sys.modules)\n"
        "sys.exit(','.join(sorted(heavy)) or 0)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert answer.returncode == 0, answer.stderr
    assert "chat" in answer.stdout


def test_an_unknown_command_is_told_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["depoly"]) == 64
    assert "did you mean 'deploy'?" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "_PODIUM_COMPLETE" in capsys.readouterr().out


def test_colours_only_on_a_terminal_that_wants_them() -> None:
    assert colours_wanted({"TERM": "xterm"}, terminal=True)
    assert not colours_wanted({"TERM": "xterm"}, terminal=False)
    assert not colours_wanted({"NO_COLOR": "1"}, terminal=True)
    assert not colours_wanted({"TERM": "dumb"}, terminal=True)


def test_tables_are_as_wide_as_they_must_be() -> None:
    assert table(("a", "long name"), [("xyz", "1")]) == ["A    LONG NAME", "xyz  1"]


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (2048, "2 KiB"), (1536, "1.5 KiB"), (5 * 2**40, "5120 GiB")])
def test_sizes_have_units(count: int, text: str) -> None:
    assert size(count) == text


def test_assignments_take_values_or_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "t")
    assert assignments(("A=1", "TOKEN", "B="), "secret") == {"A": "1", "TOKEN": "t", "B": ""}
    assert assignments((), "secret") is None
    with pytest.raises(click.UsageError, match="NAME=VALUE"):
        assignments(("MISSING_VARIABLE",), "secret")


def test_dotted_keys_nest_and_values_are_json_when_they_can_be() -> None:
    assert json_values(("a.b=1", "a.c=x", "d=[true]")) == {"a": {"b": 1, "c": "x"}, "d": [True]}
    with pytest.raises(click.UsageError):
        json_values(("a=1", "a.b=2"))


def test_configuration_is_merged_and_cut_at_any_depth() -> None:
    base = {"a": {"b": 1, "c": 2}, "d": 3}
    assert merged(base, {"a": {"b": 9}, "e": 4}) == {"a": {"b": 9, "c": 2}, "d": 3, "e": 4}
    assert without(base, ["a", "b"]) == {"a": {"c": 2}, "d": 3}
    assert without(base, ["x", "y"]) == base
