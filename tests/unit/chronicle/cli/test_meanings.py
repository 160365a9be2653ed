"""What the arguments of commands mean, and what failures become."""

import pytest

from chronicle.cli.failures import report
from chronicle.cli.places import size_bytes, span_s
from chronicle.cli.showing import plain, size_of
from chronicle.control.failures import ChangedMeanwhileError
from chronicle.model import errors
from chronicle.model.iterations import Iteration, Version


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("30d", 2_592_000), ("1w", 604_800)]
)
def test_spans_of_time_have_units(text: str, seconds: int) -> None:
    assert span_s(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "1y", "-1d", "1.5h"])
def test_what_is_no_span_is_refused_with_examples(text: str) -> None:
    with pytest.raises(errors.InvalidInputError, match="30d"):
        span_s(text)


@pytest.mark.parametrize(
    ("text", "size"), [("7", 7), ("2k", 2048), ("500M", 500 * 1024**2), ("1GiB", 1024**3), ("1gb", 1024**3)]
)
def test_sizes_have_units(text: str, size: int) -> None:
    assert size_bytes(text) == size


def test_what_is_no_size_is_refused() -> None:
    with pytest.raises(errors.InvalidInputError):
        size_bytes("much")


def test_sizes_for_people() -> None:
    assert [size_of(size) for size in (0, 1023, 1024, 5 * 1024**2, 3 * 1024**4)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "5.0 MiB",
        "3.0 TiB",
    ]


def test_json_has_text_for_bytes_and_hex_for_digests() -> None:
    assert plain(Iteration(3, b"a\xff", "rename", 5, from_=b"b"))["from"] == "b"
    assert plain(Iteration(3, b"a\xff", "rename", 5))["path"] == "a\udcff"
    assert plain(Version(1, 2, 3, 4, 5, b"\x01\xff", None, {b"user.x": b"y"})) == {
        "node": 1, "iteration": 2, "mode": 3, "mtime_ns": 4, "size": 5, "digest": "01ff", "target": None, "xattrs": {"user.x": "y"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidPathError(b"..", "no"), 64),
        (errors.InvalidInputError("no"), 64),
        (errors.WorkspaceNotFoundError("x"), 66),
        (errors.VersionDroppedError(b"x", 1), 66),
        (errors.DamagedError("x"), 65),
        (errors.NotSupportedError("x"), 69),
        (errors.StorageError("x"), 73),
        (errors.QuotaExceededError("x"), 73),
        (errors.WorkspaceBusyError("x"), 75),
        (ChangedMeanwhileError(b"x", "", "1"), 75),
        (TimeoutError("x"), 75),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_failure_has_its_exit_code(error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(error, as_json=False) == code
    assert capsys.readouterr().out == ""


def test_a_fault_of_the_program_is_not_hidden() -> None:
    with pytest.raises(KeyError):
        report(KeyError("x"), as_json=False)


def test_failures_are_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    report(errors.NotFoundError("nothing"), as_json=True)
    assert capsys.readouterr().err == '{"error": {"code": "not_found", "message": "nothing"}}\n'
