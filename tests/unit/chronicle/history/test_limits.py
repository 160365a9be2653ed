"""A disk that refuses, several threads, another file system."""

import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chronicle.model.changes import Change
from chronicle.model.errors import InvalidInputError, StorageError
from chronicle.store.history import History
from chronicle.store.history.check import check
from tests.unit.chronicle.history.trees import Teller, looked


@pytest.mark.proves("CHR-FULL-DISK")
def test_a_full_disk_loses_nothing_and_the_batch_can_be_told_again(history: History, teller: Teller) -> None:
    teller.write(b"x", b"1")
    before = looked(history)
    assert history._writer is not None
    connection = history._writer.connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StorageError, match="full"):
        teller.tell(*(_write(number) for number in range(1000)))
    assert (history.head, looked(history)) == (1, before)
    connection.execute("PRAGMA max_page_count=1000000")
    teller.tell(*(_write(number) for number in range(1000)))
    assert history.head == 1001


def _write(number: int) -> Change:
    return Change("write", b"n%d" % number, 1, mode=0o100644, size=1, digest=bytes(32))


def test_many_threads_ask_while_one_records_and_seals(history: History, teller: Teller) -> None:
    over = threading.Event()

    def ask() -> int:
        rounds = 0
        while not over.is_set():
            head = history.head
            assert len(history.log(limit=10_000, before=head + 1)) == head
            assert len(list(history.walk(head))) == min(head, 10)
            history.history(b"3")
            rounds += 1
        return rounds

    with ThreadPoolExecutor(3) as threads:
        asking = [threads.submit(ask) for _ in range(3)]
        try:
            for number in range(60):
                teller.write(b"%d" % (number % 10), b"%d" % number)
                if number % 10 == 9:
                    history.seal()
        finally:
            over.set()
        assert all(future.result() for future in asking)


def test_a_batch_in_a_batch_and_a_seal_in_a_batch_are_refused(history: History, teller: Teller, tmp_path: Path) -> None:
    with history.batch() as batch:
        batch.apply(_write(1))
        with pytest.raises(InvalidInputError, match="batch is open"), history.batch():
            pass
        with pytest.raises(InvalidInputError, match="batch is open"):
            history.seal()
        with pytest.raises(InvalidInputError, match="batch is open"):
            history.fork(tmp_path / "fork", 0)
        batch.apply(_write(2))
    assert history.head == 2


def test_a_fork_on_another_file_system_has_copies(history: History, teller: Teller, tmp_path: Path) -> None:
    if Path("/dev/shm").stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no other file system here")
    teller.write(b"x", b"1")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        history.fork(Path(place) / "fork", 1)
        with History.open(Path(place) / "fork") as fork:
            assert looked(fork) == looked(history)
            assert list(check(fork)) == []
