"""A process that reads a history while another one writes, seals and folds it, until its input ends. Prints how often it read."""

import sys
import threading
from pathlib import Path

from chronicle.store.history import History
from tests.faults.chronicle.history.work import ITERATIONS

if __name__ == "__main__":
    over = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=wait, daemon=True).start()
    directory, rounds = Path(sys.argv[1]), 0
    with History.open(directory) as kept:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while not over.is_set():
            with History.open(directory) as fresh:
                for history in (kept, fresh):
                    head = history.head
                    batches = head // ITERATIONS
                    assert head == batches * ITERATIONS, head
                    assert [item.iteration for item in history.log(limit=10_000, before=head + 1)] == list(
                        range(1, head + 1)
                    )
                    walked = {entry.path for entry in history.walk(head)}
                    assert walked == ({b"same", b"latest", b"d%d" % (batches - 1)} if batches else set()), walked
                    lived = history.history(b"same", limit=10_000, before=head + 1)
                    assert len(lived) == batches, lived
            rounds += 1
    sys.stdout.write(f"{rounds}\n")
