"""Errors travel through sockets and arrive as themselves."""

import inspect

import msgspec
import pytest

from chronicle.control.failures import ChangedMeanwhileError, Failure, error_of, failure_of
from chronicle.model import errors

EXAMPLES: list[Exception] = [
    errors.InvalidPathError(b"../\xff", "`..` could leave the workspace"),
    errors.InvalidPathError("/x", "it is absolute"),
    errors.NotFoundError("no"),
    errors.FileNotFoundInHistoryError(b"caf\xe9", 7),
    errors.FileNotFoundInHistoryError(b"a", None),
    errors.IterationNotFoundError(9, 3),
    errors.CheckpointNotFoundError("first try"),
    errors.WorkspaceNotFoundError("/nowhere"),
    errors.VersionDroppedError(b"a/b", 12),
    errors.DamagedError("objects.db"),
    errors.WorkspaceBusyError("busy"),
    errors.NotSupportedError("no /dev/fuse"),
    errors.QuotaExceededError("full"),
    errors.StorageError("disk"),
    errors.InvalidInputError("what?"),
    ChangedMeanwhileError(b"a", "00ff", None),
    ChangedMeanwhileError(b"a", "", "00ff"),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: f"{type(error).__name__}-{error}")
def test_an_error_arrives_as_itself_with_its_facts(error: Exception) -> None:
    sent = msgspec.json.encode(failure_of(error))
    arrived = error_of(msgspec.json.decode(sent, type=Failure))
    assert type(arrived) is type(error)
    assert str(arrived) == str(error) or isinstance(error, errors.InvalidPathError)
    facts = {name: value for name, value in vars(error).items() if name != "path"}
    assert {name: value for name, value in vars(arrived).items() if name != "path"} == facts


def test_every_error_of_the_model_travels() -> None:
    known = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.ChronicleError)}
    assert known - {errors.ChronicleError} <= {type(error) for error in EXAMPLES}


def test_what_the_disk_says_arrives_as_a_storage_error() -> None:
    assert isinstance(error_of(failure_of(OSError(28, "No space left on device"))), errors.StorageError)


def test_a_wait_that_was_too_long_arrives_as_a_timeout() -> None:
    assert isinstance(error_of(failure_of(TimeoutError("not within 3 s"))), TimeoutError)


def test_a_fault_of_the_program_is_told_with_its_class_and_arrives_as_chronicles_own() -> None:
    arrived = error_of(failure_of(KeyError("x")))
    assert isinstance(arrived, errors.ChronicleError)
    assert "KeyError" in str(arrived)


def test_an_unknown_code_of_a_newer_side_is_still_an_error_of_chronicle() -> None:
    assert str(error_of(Failure("something_new", "words"))) == "words"
