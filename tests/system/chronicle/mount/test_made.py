"""`.chronicle/`: there when asked for, not listed, slow when it has to be, interrupted when its reader is."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.chronicle.mount.serving import Serving
from tests.waiting import until

Serve = Callable[..., Serving]

pytestmark = pytest.mark.proves("CHR-MAGIC")


@pytest.fixture
def magic(serve: Serve) -> Path:
    return serve(virtual=True).mountpoint / ".chronicle"


def test_it_is_there_but_not_listed(magic: Path) -> None:
    assert os.listdir(magic.parent) == []
    assert magic.is_dir()
    assert sorted(os.listdir(magic))[:3] == ["broken", "link", "many"]
    assert (magic / "link").readlink() == Path("text")
    assert not (magic / "nothing").exists()


def test_files_are_read_whole_whatever_size_they_claim(magic: Path) -> None:
    assert (magic / "text").read_bytes() == b"hello\n"
    assert (magic / "memory").read_bytes() == b"from memory"
    assert (magic / "link").read_bytes() == b"hello\n"
    with open(magic / "text", "rb") as file:
        file.seek(2)
        assert file.read(3) == b"llo"


def test_a_write_is_a_command_and_its_failure_is_the_writers(magic: Path) -> None:
    (magic / "text").write_text("louder")
    assert (magic / "text").read_text() == "LOUDER"
    with pytest.raises(OSError) as wrong:
        (magic / "text").write_text("wrong")
    assert wrong.value.errno == 22
    with pytest.raises(PermissionError):
        (magic / "slow").write_text("x")


def test_nothing_can_be_made_or_removed(magic: Path) -> None:
    for attempt in (
        lambda: (magic / "new").write_text(""),
        lambda: (magic / "new").mkdir(),
        lambda: (magic / "text").unlink(),
        lambda: (magic / "text").rename(magic / "other"),
        lambda: (magic.parent / "file").rename(magic / "other"),
        lambda: (magic / "many/f1").write_text("the past does not change"),
    ):
        (magic.parent / "file").touch()
        with pytest.raises(OSError):
            attempt()
    with pytest.raises(OSError):
        os.link(magic.parent / "file", magic / "hard")
    with pytest.raises(OSError):
        os.link(magic / "text", magic.parent / "hard")
    with pytest.raises(OSError):
        (magic / "text").rename(magic.parent / "stolen")
    with pytest.raises(OSError):
        magic.rename(magic.parent / "renamed")


def test_a_directory_of_many_is_walked(magic: Path) -> None:
    assert sorted(path.read_text() for path in (magic / "many").iterdir()) == sorted(str(n) for n in range(500))


def test_what_comes_later_keeps_nobody_else_waiting(magic: Path) -> None:
    answers: list[str] = []
    readers = [threading.Thread(target=lambda: answers.append((magic / "slow").read_text())) for _ in range(20)]
    for reader in readers:
        reader.start()
    (magic.parent / "meanwhile").write_text("x")
    for reader in readers:
        reader.join()
    assert answers == ["at last\n"] * 20


@pytest.fixture
def waiting(magic: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", f"open({str(magic / 'never')!r})"], stderr=subprocess.DEVNULL)
    try:
        until(lambda: _sleeps_in_open(process.pid))
        yield process
    finally:
        process.kill()
        process.wait()


def _sleeps_in_open(pid: int) -> bool:
    return "fuse" in Path(f"/proc/{pid}/wchan").read_text() or "request_wait" in Path(f"/proc/{pid}/wchan").read_text()


def test_who_waits_can_be_killed(waiting: subprocess.Popen[bytes]) -> None:
    os.kill(waiting.pid, signal.SIGKILL)
    assert waiting.wait(timeout=5) == -signal.SIGKILL


def test_a_fault_is_one_failed_call(serve: Serve) -> None:
    serving = serve(virtual=True)
    serving.may_complain = True
    with pytest.raises(OSError) as failed:
        (serving.mountpoint / ".chronicle/broken").read_text()
    assert failed.value.errno == 5
    (serving.mountpoint / "f").write_text("goes on")
    assert "a fault" in serving.stop()
