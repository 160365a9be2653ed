"""Every error of Chronicle means something to a caller, and none tells a path of the host."""

import pytest

from chronicle.control.client import NobodyThereError
from chronicle.control.failures import ChangedMeanwhileError
from chronicle.model import errors
from podium.coordinator.adapters.workspaces import workspace_problem
from podium.wire.errors import ErrorCode

CASES: list[tuple[Exception, ErrorCode]] = [
    (errors.InvalidPathError("../x", "`..`"), ErrorCode.INVALID_PATH),
    (errors.FileNotFoundInHistoryError(b"f", 3), ErrorCode.FILE_NOT_FOUND),
    (errors.IterationNotFoundError(9, 3), ErrorCode.ITERATION_NOT_FOUND),
    (errors.CheckpointNotFoundError("x"), ErrorCode.ITERATION_NOT_FOUND),
    (errors.WorkspaceNotFoundError("/data/agents/x"), ErrorCode.FILE_NOT_FOUND),
    (errors.VersionDroppedError(b"f", 3), ErrorCode.ITERATION_NOT_FOUND),
    (errors.DamagedError("/data/pool/ab: is not what it was"), ErrorCode.INTERNAL),
    (errors.WorkspaceBusyError("/data/agents/x is held"), ErrorCode.WORKSPACE_UNAVAILABLE),
    (errors.StorageError("/data is full"), ErrorCode.WORKSPACE_UNAVAILABLE),
    (errors.QuotaExceededError("full"), ErrorCode.QUOTA_EXCEEDED),
    (errors.NotSupportedError("no"), ErrorCode.INVALID_REQUEST),
    (errors.InvalidInputError("no"), ErrorCode.INVALID_REQUEST),
    (errors.NotFoundError("/data/pool/ab"), ErrorCode.INTERNAL),
    (errors.ChronicleError("/data/x"), ErrorCode.INTERNAL),
    (NobodyThereError("/data/x.sock"), ErrorCode.WORKSPACE_UNAVAILABLE),
    (ChangedMeanwhileError(b"f", "aa", None), ErrorCode.FILE_CHANGED),
]


@pytest.mark.parametrize(("error", "code"), CASES, ids=lambda value: type(value).__name__)
def test_every_error_has_its_meaning(error: Exception, code: ErrorCode) -> None:
    problem = workspace_problem(error)
    assert problem is not None
    assert problem.code is code
    assert "/data" not in problem.detail
    problem.detail.encode()


def test_all_errors_of_the_tree_are_among_them() -> None:
    def below(kind: type[Exception]) -> set[type[Exception]]:
        return {kind}.union(*(below(each) for each in kind.__subclasses__()))

    seen = {type(error) for error, _ in CASES}
    assert {kind for kind in below(errors.ChronicleError) if kind.__module__ == "chronicle.model.errors"} <= seen


def test_what_is_no_error_of_a_workspace_is_left_alone() -> None:
    assert workspace_problem(KeyError("x")) is None
