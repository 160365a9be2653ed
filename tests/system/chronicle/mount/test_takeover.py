"""The serving process is killed; the next one takes over, and users notice at most one error."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.chronicle.mount.serving import Serving
from tests.waiting import until

Serve = Callable[..., Serving]

pytestmark = pytest.mark.proves("CHR-TAKEOVER")


def _child(serving: Serving) -> int:
    return int((serving.layout.root / "child").read_text())


def _kill(serving: Serving) -> None:
    """Kills the process that serves; returns when another one does."""
    before = _child(serving)
    os.kill(before, signal.SIGKILL)
    until(lambda: _child(serving) != before)


@pytest.fixture(params=[True, False], ids=["passthrough", "read-and-write"])
def serving(request: pytest.FixtureRequest, serve: Serve) -> Serving:
    serving = serve(successors=3, passthrough=request.param, virtual=True)
    until(lambda: (serving.layout.root / "child").exists())
    return serving


def test_open_files_go_on(serving: Serving) -> None:
    here = serving.mountpoint
    (here / "d").mkdir()
    with open(here / "d/f", "w+b", buffering=0) as file:
        file.write(b"before ")
        _kill(serving)
        file.write(b"after")
        assert os.fstat(file.fileno()).st_size == 12
        os.fsync(file.fileno())
        file.seek(0)
        assert file.read() == b"before after"
        (here / "d/f").rename(here / "d/g")
        file.write(b"!")
    assert (here / "d/g").read_bytes() == b"before after!"
    until(lambda: serving.told(do="wrote", path="d/g", content="before after!"))


def test_files_that_stay_open_are_noted_by_the_next_process(serving: Serving) -> None:
    with open(serving.mountpoint / "f", "wb", buffering=0) as file:
        file.write(b"before")
        os.fsync(file.fileno())
        _kill(serving)
        until(lambda: (serving.mountpoint / "f").exists())
        file.write(b" after")
        until(lambda: serving.told(do="wrote", content="before after"))


def test_a_working_directory_inside_stays_one(serving: Serving) -> None:
    deep = serving.mountpoint / "a/b/c"
    deep.mkdir(parents=True)
    (deep / "f").write_text("here")
    before = os.open(".", os.O_PATH)
    try:
        os.chdir(deep)
        _kill(serving)
        assert Path("f").read_text() == "here"
        Path("g").write_text("new")
        assert sorted(os.listdir()) == ["f", "g"]
        (serving.mountpoint / "a").rename(serving.mountpoint / "z")
        assert Path.cwd() == serving.mountpoint / "z/b/c"
        assert Path("g").read_text() == "new"
    finally:
        os.fchdir(before)
        os.close(before)


def test_a_call_without_an_answer_gets_one(serving: Serving) -> None:
    """Who waits for a `.chronicle` file that never comes waits in the next process too, or gets one error."""
    never = serving.mountpoint / ".chronicle/never"
    process = subprocess.Popen([sys.executable, "-c", f"open({str(never)!r})"], stderr=subprocess.DEVNULL)
    try:
        until(lambda: _waits(process.pid))
        _kill(serving)
        (serving.mountpoint / "f").write_text("served")
        assert (serving.mountpoint / ".chronicle/many/f7").read_text() == "7"
        assert (serving.mountpoint / ".chronicle/text").read_text() == "hello\n"
        until(lambda: _waits(process.pid) or process.poll() == 1)
    finally:
        process.kill()
        process.wait(timeout=10)


def _waits(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return "wait" in Path(f"/proc/{pid}/wchan").read_text()
    return False


def test_who_works_while_the_process_is_killed_sees_at_most_one_error_each_time(serving: Serving) -> None:
    errors: list[str] = []
    ending = threading.Event()
    rounds = 0

    def work() -> None:
        nonlocal rounds
        while not ending.is_set():
            rounds += 1
            place = serving.mountpoint / str(rounds % 7)
            try:
                place.mkdir(exist_ok=True)
                (place / "new").write_text(str(rounds))
                (place / "new").rename(place / "f")
                if (place / "f").read_text() != str(rounds):
                    errors.append("wrong content")
                (place / "f").unlink()
            except OSError as error:
                errors.append(str(error))

    worker = threading.Thread(target=work)
    worker.start()
    try:
        for _ in range(3):
            reached = rounds + 20
            until(lambda reached=reached: rounds >= reached)  # type: ignore[misc]
            _kill(serving)
        reached = rounds + 20
        until(lambda: rounds >= reached)
    finally:
        ending.set()
        worker.join()
    assert "wrong content" not in errors
    assert len(errors) <= 3
    (serving.mountpoint / "last").write_text("x")
    until(lambda: serving.told(do="wrote", path="last"))


def test_what_was_opened_before_and_is_opened_again_is_one_file(serving: Serving) -> None:
    here = serving.mountpoint
    with open(here / "f", "w+b", buffering=0) as one:
        one.write(b"one")
        _kill(serving)
        with open(here / "f", "r+b", buffering=0) as two:
            two.write(b"TWO")
            assert os.pread(one.fileno(), 3, 0) == b"TWO"
        os.pwrite(one.fileno(), b"!", 3)
    assert (here / "f").read_bytes() == b"TWO!"


def test_numbers_of_nodes_are_never_used_twice(serving: Serving) -> None:
    here = serving.mountpoint
    for n in range(3):
        for name in range(50):
            (here / str(name)).write_text(f"{n}")
        if n < 2:
            _kill(serving)
        assert {(here / str(name)).read_text() for name in range(50)} == {str(n)}
        for name in range(50):
            (here / str(name)).unlink()
    assert os.listdir(here) == []
