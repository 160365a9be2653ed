"""What becomes an iteration, of which kind, and when."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chronicle import Iteration
from tests.chronicle_mounts import Mounted, MountMaker, mount_maker
from tests.conformance.chronicle.calls import TWO_PATHS


@pytest.fixture
def maker(tmp_path: Path) -> Iterator[MountMaker]:
    """Makes mounts."""
    with mount_maker(tmp_path) as made:
        yield made


def _told(iterations: list[Iteration]) -> list[tuple[str, str] | tuple[str, str, str]]:
    return [
        (i.kind, os.fsdecode(i.path)) if i.from_ is None else (i.kind, os.fsdecode(i.path), os.fsdecode(i.from_))
        for i in iterations
    ]


def _prepare(directory: Path) -> None:
    (directory / "file").write_text("content")
    (directory / "other").write_text("other content")
    (directory / "sub" / "deep").mkdir(parents=True)
    (directory / "sub" / "deep" / "leaf").write_text("leaf")


def _exchange(directory: Path) -> None:
    TWO_PATHS["exchange"](os.fsencode(directory / "file"), os.fsencode(directory / "other"))


def _append(path: Path) -> None:
    with path.open("a") as file:
        file.write("more")


def _remove_deep(directory: Path) -> None:
    (directory / "sub/deep/leaf").unlink()
    (directory / "sub/deep").rmdir()


def _build(directory: Path) -> None:
    (directory / "build").mkdir()
    (directory / "build" / "out.o").write_text("o")


WHAT_HAPPENS: dict[str, tuple[Callable[[Path], object], list[tuple[str, ...]]]] = {
    "a new file": (lambda d: (d / "new").write_text("x"), [("create", "new")]),
    "an empty new file": (lambda d: (d / "new").touch(), [("create", "new")]),
    "other content": (lambda d: (d / "file").write_text("different"), [("modify", "file")]),
    "equal content": (lambda d: (d / "file").write_text("content"), []),
    "reading": (lambda d: (d / "file").read_text(), []),
    "appending": (lambda d: _append(d / "file"), [("modify", "file")]),
    "truncating": (lambda d: os.truncate(d / "file", 3), [("modify", "file")]),
    "removing": (lambda d: (d / "file").unlink(), [("delete", "file")]),
    "renaming": (lambda d: (d / "file").rename(d / "new"), [("rename", "new", "file")]),
    "renaming over another": (lambda d: (d / "file").rename(d / "other"), [("rename", "other", "file")]),
    "renaming a directory": (lambda d: (d / "sub").rename(d / "moved"), [("rename", "moved", "sub")]),
    "exchanging": (_exchange, [("exchange", "other", "file"), ("exchange", "file", "other")]),
    "a directory": (lambda d: (d / "new").mkdir(), [("mkdir", "new")]),
    "removing a directory": (
        lambda d: _remove_deep(d),
        [("delete", "sub/deep/leaf"), ("delete", "sub/deep")],
    ),
    "a symbolic link": (lambda d: (d / "new").symlink_to("file"), [("symlink", "new")]),
    "a hard link": (lambda d: (d / "new").hardlink_to(d / "file"), [("link", "new", "file")]),
    "a fifo": (lambda d: os.mkfifo(d / "new"), [("special", "new")]),
    "permissions": (lambda d: (d / "file").chmod(0o600), [("chmod", "file")]),
    "the same permissions": (lambda d: (d / "file").chmod(0o644), []),
    "times": (lambda d: os.utime(d / "file", ns=(1, 1)), []),
    "an extended attribute": (lambda d: os.setxattr(d / "file", "user.a", b"1"), [("xattr", "file")]),
    "an excluded file": (lambda d: _build(d), []),
    "a file that leaves an excluded place": (
        lambda d: ((d / "x.o").write_text("o"), (d / "x.o").rename(d / "kept")),
        [("create", "kept")],
    ),
    "a file that goes to an excluded place": (lambda d: (d / "file").rename(d / "file.o"), [("delete", "file")]),
}


@pytest.mark.proves("CHR-EVERY-VERSION", "CHR-EQUAL-BYTES", "CHR-EXCLUDED")
def test_each_thing_that_happens_is_the_iterations_it_should_be(maker: MountMaker) -> None:
    for what, (happen, expected) in WHAT_HAPPENS.items():
        mounted = maker(exclude=("build/", "*.o"))
        os.umask(0o022)
        _prepare(mounted.directory)
        before = mounted.workspace.barrier()
        happen(mounted.directory)
        mounted.workspace.barrier()
        assert _told(mounted.workspace.log(after=before)) == expected, what
        mounted.unmount()
        assert list(mounted.workspace.fsck()) == [], what


@pytest.mark.proves("CHR-OPEN-FILES")
def test_fsync_records_what_was_written_though_the_file_stays_open(maker: MountMaker) -> None:
    mounted = maker()
    with (mounted.directory / "file").open("w") as file:
        file.write("first")
        file.flush()
        os.fsync(file.fileno())
        assert mounted.workspace.read("file", mounted.workspace.barrier()) == b"first"
        file.write(" second")
    assert mounted.workspace.read("file", mounted.workspace.barrier()) == b"first second"
    assert [i.kind for i in mounted.workspace.history("file")] == ["modify", "create"]


@pytest.mark.proves("CHR-SYNC")
def test_in_sync_a_call_returns_when_its_change_is_in_the_history(maker: MountMaker) -> None:
    mounted = maker(durability="sync")
    directory = mounted.directory
    (directory / "file").write_text("written")
    assert mounted.workspace.read("file", mounted.workspace.head) == b"written"
    (directory / "file").rename(directory / "moved")
    assert [i.kind for i in mounted.workspace.log(newest_first=True, limit=1)] == ["rename"]
    (directory / "moved").unlink()
    assert [i.kind for i in mounted.workspace.log(newest_first=True, limit=1)] == ["delete"]
    (directory / "sub").mkdir()
    assert [i.kind for i in mounted.workspace.log(newest_first=True, limit=1)] == ["mkdir"]


def _turned(mounted: Mounted) -> dict[str, str | None]:
    return {os.fsdecode(i.path): i.turn_id for i in mounted.workspace.log()}


@pytest.mark.proves("CHR-EVERY-VERSION")
def test_a_change_belongs_to_the_turn_that_was_announced(maker: MountMaker) -> None:
    mounted = maker()
    (mounted.directory / "before").write_text("1")
    mounted.workspace.barrier()
    mounted.workspace.annotate("turn-1")
    (mounted.directory / "during").write_text("2")
    mounted.workspace.barrier()
    mounted.workspace.annotate(None)
    (mounted.directory / "after").write_text("3")
    mounted.workspace.barrier()
    assert _turned(mounted) == {"before": None, "during": "turn-1", "after": None}
