"""The page of a real mount: when it says that nothing is to be recorded, and whose a change is."""

import contextlib
import os
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from chronicle.layout import Layout
from chronicle.page import ORDERED, Page
from tests.chronicle_mounts import Mounted, MountMaker
from tests.system.chronicle.daemon.test_deaths import kill_worker
from tests.waiting import until

pytestmark = pytest.mark.skipif(not ORDERED, reason="this machine has no pages")

OPERATIONS = 400
NAMES = [b"a", b"b", b"d/a", b"d/b", b"d/e/a", b"e"]
DIRECTORIES = [b"d", b"d/e", b"e"]


@contextlib.contextmanager
def page_of(mounted: Mounted) -> Iterator[Page]:
    page = Page.find(Layout(mounted.root).page)
    assert page is not None
    try:
        yield page
    finally:
        page.close()


class Program:
    """Random calls below a directory; those that fail are calls, too."""

    def __init__(self, directory: Path, seed: int) -> None:
        self._chance = random.Random(seed)
        self._top = os.fsencode(directory)
        self._open: list[int] = []
        self._calls: list[Callable[[], None]] = [
            self._write, self._write, self._append, self._open_one, self._close_one, self._close_one, self._go_on,
            self._unlink, self._rename, self._link, self._symlink, self._mkdir, self._rmdir, self._chmod, self._truncate,
            self._attribute, self._sync, self._unnamed, self._read, self._times,
        ]  # fmt: skip

    def step(self) -> str:
        call = self._chance.choice(self._calls)
        with contextlib.suppress(OSError):
            call()
        return call.__name__

    def end(self) -> None:
        while self._open:
            os.close(self._open.pop())

    def _path(self, names: list[bytes] = NAMES) -> bytes:
        return os.path.join(self._top, self._chance.choice(names))

    def _write(self) -> None:
        with open(self._path(), "wb") as file:
            file.write(self._chance.randbytes(self._chance.choice([0, 10, 100_000])))

    def _append(self) -> None:
        with open(self._path(), "ab") as file:
            file.write(b"more")

    def _open_one(self) -> None:
        flags = self._chance.choice([os.O_RDWR, os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_RDONLY | os.O_TRUNC])
        self._open.append(os.open(self._path(), flags, 0o644))

    def _close_one(self) -> None:
        if self._open:
            os.close(self._open.pop(self._chance.randrange(len(self._open))))

    def _go_on(self) -> None:
        if self._open:
            os.write(self._chance.choice(self._open), b"x" * self._chance.randrange(1, 9000))

    def _unlink(self) -> None:
        os.unlink(self._path())

    def _rename(self) -> None:
        os.rename(self._path(NAMES + DIRECTORIES), self._path(NAMES + DIRECTORIES))

    def _link(self) -> None:
        os.link(self._path(), self._path())

    def _symlink(self) -> None:
        os.symlink(b"a", self._path())

    def _mkdir(self) -> None:
        os.mkdir(self._path(DIRECTORIES))

    def _rmdir(self) -> None:
        os.rmdir(self._path(DIRECTORIES))

    def _chmod(self) -> None:
        os.chmod(self._path(), self._chance.choice([0o600, 0o644, 0o755]))

    def _truncate(self) -> None:
        os.truncate(self._path(), self._chance.randrange(200))

    def _attribute(self) -> None:
        os.setxattr(self._path(), b"user.note", b"%d" % self._chance.randrange(9))

    def _sync(self) -> None:
        if self._open:
            os.fsync(self._chance.choice(self._open))

    def _unnamed(self) -> None:
        self._open.append(os.open(self._top, os.O_RDWR | os.O_TMPFILE, 0o644))

    def _read(self) -> None:
        with open(self._path(), "rb") as file:
            file.read()

    def _times(self) -> None:
        os.utime(self._path())


@pytest.mark.parametrize("seed", range(4))
def test_a_quiet_page_says_what_a_barrier_answers(maker: MountMaker, seed: int) -> None:
    mounted = maker(passthrough=seed % 2 == 0)
    program = Program(mounted.directory, seed)
    quiet = 0
    with page_of(mounted) as page:
        try:
            for number in range(OPERATIONS):
                what = program.step()
                if number % 5 == 4:  # else it would hardly ever be
                    mounted.workspace.barrier()
                said = page.quiet()
                if said is not None:
                    quiet += 1
                    assert mounted.workspace.barrier() == said, what
        finally:
            program.end()
        until(lambda: page.quiet() is not None)
        assert page.quiet() == mounted.workspace.barrier()
    assert quiet > 5


def test_a_file_that_was_written_keeps_the_page_from_being_quiet_until_it_is_recorded(maker: MountMaker) -> None:
    mounted = maker()
    with page_of(mounted) as page:
        for number in range(200):
            (mounted.directory / "file").write_text(str(number))
            said = page.quiet()
            if said is not None:  # it was recorded that quickly
                assert mounted.workspace.read("file") == str(number).encode()
            head = mounted.workspace.barrier()
            until(lambda: page.quiet() is not None)
            assert page.quiet() == head == number + 1


def test_changes_belong_to_the_turn_on_the_page(maker: MountMaker) -> None:
    mounted = maker()
    with page_of(mounted) as page:
        expected: list[str | None] = []
        for number in range(40):
            turn = None if number % 7 == 3 else f"turn_{number}"
            until(partial(page.begin_turn, turn))
            (mounted.directory / "file").write_text(str(number))
            os.mkdir(mounted.directory / f"d{number}")
            expected += [turn, turn]
        mounted.workspace.barrier()
        assert [each.turn_id for each in mounted.workspace.log(limit=1000)] == expected


def test_a_turn_that_is_asked_for_and_one_on_the_page_hold_in_their_order(maker: MountMaker) -> None:
    mounted = maker()
    directory, workspace = mounted.directory, mounted.workspace
    with page_of(mounted) as page:
        until(lambda: page.begin_turn("never seen"))
        workspace.annotate("asked")
        os.mkdir(directory / "1")
        until(lambda: page.begin_turn("written"))
        os.mkdir(directory / "2")
        workspace.annotate(None)
        os.mkdir(directory / "3")
        workspace.barrier()
    assert [each.turn_id for each in workspace.log()] == ["asked", "written", None]


def test_what_an_open_file_holds_belongs_to_the_turn_before(maker: MountMaker) -> None:
    mounted = maker()
    with page_of(mounted) as page:
        until(lambda: page.begin_turn("first"))
        with open(mounted.directory / "file", "w") as file:
            file.write("first")
            file.flush()
            assert not page.begin_turn("second")
            assert page.quiet() is None
            mounted.workspace.annotate("second")
            file.write("second")
        mounted.workspace.barrier()
    assert [each.turn_id for each in mounted.workspace.log()] == ["first", "second"]


@pytest.mark.noisy("worker|died|replaced|ended")
def test_the_page_of_a_worker_that_was_replaced_is_not_believed(maker: MountMaker) -> None:
    mounted = maker()
    with page_of(mounted) as page:
        until(lambda: page.quiet() is not None)
        kill_worker(maker)
        assert page.quiet() is None
        assert not page.begin_turn("turn")
    assert Page.find(Layout(mounted.root).page) is None
    (mounted.directory / "file").write_text("x")
    assert mounted.workspace.barrier() == 1


def test_a_workspace_without_its_mount_has_no_page_to_be_believed(maker: MountMaker) -> None:
    mounted = maker()
    with page_of(mounted) as page:
        maker.process.daemon.unmount(mounted.directory)
        assert page.quiet() is None
        assert Page.find(Layout(mounted.root).page) is None


def test_a_watched_directory_has_no_page(maker: MountMaker) -> None:
    assert Page.find(Layout(maker(backend="watch").root).page) is None
