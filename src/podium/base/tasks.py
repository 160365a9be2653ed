"""The one way to start a task: named, owned, its failure seen."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

CLOSE_SECONDS = 10.0
"""How long an owner waits for its cancelled tasks before it reports them and goes on."""


class TaskOwner:
    """Owns the tasks of one part; closing it cancels them and waits until they are gone.

    A task that fails is logged with its name. Give `critical=True` when the owner can't go on without it: the
    failure then also ends `run_until_failure`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failure: asyncio.Future[None] | None = None
        self._closing = False

    def start(
        self, work: Coroutine[Any, Any, _T], name: str, *, critical: bool = False, awaited: bool = False
    ) -> asyncio.Task[_T]:
        """Starts `work` as a task named `{owner}:{name}`. `awaited`: its failure is seen by who awaits it, and not logged."""
        if self._closing:
            work.close()
            raise RuntimeError(f"{self.name} is closing; {name} can't be started")
        task = asyncio.get_running_loop().create_task(work, name=f"{self.name}:{name}")
        self._tasks.add(task)
        task.add_done_callback(self._critical_done if critical else self._awaited_done if awaited else self._done)
        return task

    @property
    def is_closing(self) -> bool:
        """Whether nothing more can be started."""
        return self._closing

    def __len__(self) -> int:
        return len(self._tasks)

    async def run_until_failure(self) -> None:
        """Waits for ever, or until a critical task fails, whose exception is raised. Cancellation just ends the wait."""
        if self._failure is None:
            self._failure = asyncio.get_running_loop().create_future()
        await self._failure

    async def close(self) -> None:
        """Cancels all tasks and waits for them, at most `CLOSE_SECONDS`; a task may close its own owner."""
        self._closing = True
        current = asyncio.current_task()
        pending = {task for task in self._tasks if task is not current}
        for task in pending:
            task.cancel()
        if pending:
            _, stuck = await asyncio.wait(pending, timeout=CLOSE_SECONDS)
            for task in stuck:
                _log.error("task_stuck", extra={"task": task.get_name()})

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("task_failed", extra={"task": task.get_name()}, exc_info=error)

    def _awaited_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen: nobody may be left to await it

    def _critical_done(self, task: asyncio.Task[Any]) -> None:
        self._done(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if self._failure is None:
            self._failure = task.get_loop().create_future()
        if not self._failure.done():
            self._failure.set_exception(error)
