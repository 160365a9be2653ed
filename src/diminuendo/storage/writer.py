"""Many small writes as few transactions.

What is put is committed at once when nothing was committed within the last 50 ms; else together with what else comes until
then, or until there are 100 commands. Nobody is told of a write before it is committed: a batch that fails is as if it had never
been put, and its writer takes nothing more, since what was to follow may build on it.
"""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from diminuendo.storage.errors import StorageError
from podium.base.clock import Clock
from podium.base.sqlite import transaction

BATCH_SECONDS: Final = 0.05
"""How long a write waits for others at most."""

BATCH_COMMANDS: Final = 100
"""Commands that are committed without waiting any longer."""


class Command(NamedTuple):
    """One statement and its values."""

    sql: str
    parameters: Sequence[Any] = ()


class Timer(Protocol):
    """What `call_later` gives."""

    def cancel(self) -> None:
        """Nothing happens any more."""
        ...


CallLater = Callable[[float, Callable[[], None]], Timer]
"""Calls something after so many seconds: `loop.call_later`."""


class BatchWriter:
    """Writes to one connection, from one thread. `on_failure` is told when a batch failed that nobody was waiting for."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        clock: Clock,
        call_later: CallLater,
        on_failure: Callable[[StorageError], None],
    ) -> None:
        self._path = path
        self._connection = connection
        self._clock = clock
        self._call_later = call_later
        self._on_failure = on_failure
        self._commands: list[Command] = []
        self._told: list[Callable[[], None]] = []
        self._timer: Timer | None = None
        self._free_at = clock.monotonic()
        self.failure: StorageError | None = None
        """Why nothing is written any more; None: all is well."""
        self.commits = 0
        """Transactions so far."""

    def put(self, commands: Sequence[Command], committed: Callable[[], None] | None = None) -> None:
        """Writes `commands` in one transaction, soon; then calls `committed`, in the order of the puts.

        Raises:
            StorageError: they could not be written, or an earlier batch could not.
        """
        if self.failure is not None:
            raise self.failure
        self._commands += commands
        if committed is not None:
            self._told.append(committed)
        wait = self._free_at - self._clock.monotonic()
        if wait <= 0 or len(self._commands) >= BATCH_COMMANDS:
            self.flush()
        elif self._timer is None:
            self._timer = self._call_later(wait, self._due)

    def flush(self) -> None:
        """Commits what was put, now.

        Raises:
            StorageError: it could not be written, or an earlier batch could not.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.failure is not None:
            raise self.failure
        commands, self._commands = self._commands, []
        told, self._told = self._told, []
        if commands:
            self._commit(commands)
        for committed in told:
            committed()

    def _commit(self, commands: list[Command]) -> None:
        try:
            with transaction(self._connection):
                for sql, parameters in commands:
                    self._connection.execute(sql, parameters)
        except sqlite3.Error as error:
            self.failure = StorageError(self._path, str(error))
            raise self.failure from error
        self.commits += 1
        self._free_at = self._clock.monotonic() + BATCH_SECONDS

    def _due(self) -> None:
        self._timer = None
        try:
            self.flush()
        except StorageError as error:
            self._on_failure(error)
