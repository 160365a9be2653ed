"""Every failure becomes a message and an exit code in one place."""

import json

import click
import pytest

from podium.cli.failures import ConfigurationError, failure_of, report
from podium.client.errors import PodiumConnectionError, unreachable
from podium.wire.errors import MAPPINGS, ErrorCode, FieldError, PodiumError
from podium.wire.manifest import ManifestError


@pytest.mark.proves("CLI-EXIT-CODES")
@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_code_of_the_wire_has_its_exit_code(code: ErrorCode) -> None:
    problem = PodiumError(code, "why")
    for error in (problem, PodiumConnectionError("send", problem)):
        failure = failure_of(error)
        assert failure is not None
        assert failure.exit_code == MAPPINGS[code].exit
        assert 64 <= failure.exit_code <= 78


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (ConfigurationError("no key"), 78),
        (ManifestError("no entry"), 65),
        (click.UsageError("no such option"), 64),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (SystemExit(69), 69),
        (click.exceptions.Exit(0), 0),
        (ExceptionGroup("group", [ConfigurationError("inside")]), 78),
    ],
)
def test_what_is_no_answer_of_a_server_has_its_exit_code_too(error: BaseException, exit_code: int) -> None:
    assert report(error, as_json=False) == exit_code


def test_a_fault_of_ours_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        report(ZeroDivisionError(), as_json=False)


def test_people_are_told_what_broke_and_what_the_agent_wrote(capsys: pytest.CaptureFixture[str]) -> None:
    error = PodiumError(
        ErrorCode.AGENT_START_FAILED, "on_init raised", errors=[FieldError("body.x", "wrong")], logs=["Traceback"]
    )
    report(error, as_json=False)
    assert capsys.readouterr().err == ("error: on_init raised\n  body.x: wrong\nlast lines of the log:\n  Traceback\n")


def test_programs_are_told_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    report(unreachable("list_instances", "connection refused"), as_json=True)
    told = json.loads(capsys.readouterr().err)
    assert told["error"]["code"] == "unreachable"
    assert "podium up" in told["error"]["detail"]
