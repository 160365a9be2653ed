"""Readers in other processes go on while the history they read is written, sealed and folded."""

import subprocess
import sys
from pathlib import Path

from chronicle.store.history import History
from tests.faults.chronicle.history.work import record

PATIENCE_S = 60


def test_a_reader_in_another_process_sees_only_whole_batches_through_seals_and_folds(tmp_path: Path) -> None:
    directory = tmp_path / "history"
    History.create(directory).close()
    program = [sys.executable, "-m", "tests.faults.chronicle.history.reader", str(directory)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"ready\n"
        with History.open(directory, writable=True, longest_chain=2) as history:
            for number in range(60):
                record(history, number)
                if number % 2:
                    history.seal()
                if number % 5 == 4:
                    history.fold()
        output, _ = reader.communicate(timeout=PATIENCE_S)
    assert reader.returncode == 0
    assert int(output) > 0
