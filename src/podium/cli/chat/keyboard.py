"""What the person types: with line editing on a terminal, or line by line from a pipe."""

import asyncio
import contextlib
import os
import stat
import sys
import termios
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from podium.cli.chat.asking import Prompt

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.key_binding import KeyBindings


class Key(Enum):
    """What came instead of a line."""

    INTERRUPT = "interrupt"
    """Ctrl-C."""
    END = "end"
    """Ctrl-D, or the end of the pipe."""
    WOKEN = "woken"
    """`wake` was called: something more urgent than a line."""


class Keyboard(Protocol):
    """Reads lines and answers."""

    async def line(self) -> str | Key:
        """The next message."""
        ...

    async def choose(self, prompt: Prompt) -> str | Key:
        """An answer to `prompt`, as typed."""
        ...

    def wake(self) -> None:
        """Ends a `line` or `choose` that waits with `Key.WOKEN`."""
        ...

    def forget(self) -> None:
        """Throws away what was typed and not read: it was not meant for the question that comes now."""
        ...

    def quiet(self) -> contextlib.AbstractContextManager[None]:
        """For a whole conversation: what is typed while the agent speaks does not appear, and waits for the next `line`."""
        ...


class PipedKeyboard:
    """Lines of stdin; answers are lines too."""

    def __init__(self) -> None:
        self._reader: asyncio.StreamReader | None = None
        self._lines: list[str] | None = None

    async def line(self) -> str | Key:
        """The next line that is not empty."""
        while True:
            text = await self._next()
            if text is None:
                return Key.END
            if text.strip():
                return text.rstrip("\n")

    async def choose(self, prompt: Prompt) -> str | Key:
        """The next line, whatever the prompt."""
        del prompt
        return await self.line()

    def wake(self) -> None:
        """A pipe is read only when something is wanted of it."""

    def forget(self) -> None:
        """The lines of a pipe were written in advance, for whatever will be asked."""

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Nothing to silence."""
        yield

    async def _next(self) -> str | None:
        if self._lines is None and self._reader is None:
            await self._open()
        if self._lines is not None:
            return self._lines.pop(0) if self._lines else None
        assert self._reader is not None
        data = await self._reader.readline()
        return data.decode(errors="replace") if data else None

    async def _open(self) -> None:
        mode = os.fstat(sys.stdin.fileno()).st_mode
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
            self._reader = asyncio.StreamReader()
            protocol = asyncio.StreamReaderProtocol(self._reader)
            await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
        else:
            self._lines = sys.stdin.readlines()


class TerminalKeyboard:
    """Line editing with history, by prompt_toolkit."""

    def __init__(self, history: Path | None) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.history import FileHistory, InMemoryHistory

        past = FileHistory(str(history)) if history is not None else InMemoryHistory()
        self._lines: PromptSession[Any] = PromptSession(history=past)
        self._answers: PromptSession[Any] = PromptSession(erase_when_done=True)
        self._draft = ""

    async def line(self) -> str | Key:
        """A message; what was typed when `wake` came is kept for the next time."""
        draft, self._draft = self._draft, ""
        got = await self._prompt(self._lines, "› ", default=draft)
        if got is Key.WOKEN:
            self._draft = self._lines.default_buffer.text
        return got

    async def choose(self, prompt: Prompt) -> str | Key:
        """An answer; the number of an option counts at once, without Enter."""
        hint = f"[1-{len(prompt.options)}] " if prompt.options else "  › "
        numbers = None if prompt.multiple or len(prompt.options) > _KEYS_MAX else _number_keys(len(prompt.options))
        return await self._prompt(self._answers, hint, key_bindings=numbers)

    def wake(self) -> None:
        """Ends what waits."""
        for session in (self._lines, self._answers):
            if session.app.is_running and not session.app.is_done:
                session.app.exit(result=Key.WOKEN)

    def forget(self) -> None:
        """Empties the terminal's input."""
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Neither echo nor lines made by the terminal, so that no key is lost between two prompts. Ctrl-C still works."""
        handle = sys.stdin.fileno()
        before = termios.tcgetattr(handle)
        silent = termios.tcgetattr(handle)
        silent[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(handle, termios.TCSADRAIN, silent)
        try:
            yield
        finally:
            termios.tcsetattr(handle, termios.TCSADRAIN, before)

    async def _prompt(self, session: "PromptSession[Any]", message: str, **options: Any) -> str | Key:
        from prompt_toolkit.patch_stdout import patch_stdout

        try:
            with patch_stdout(raw=True):
                got: str | Key = await session.prompt_async(message, handle_sigint=False, **options)
        except KeyboardInterrupt:
            return Key.INTERRUPT
        except EOFError:
            return Key.END
        return got


def _number_keys(options: int) -> "KeyBindings":
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    bindings = KeyBindings()

    def choose(event: KeyPressEvent) -> None:
        event.app.exit(result=event.data)

    for number in range(1, options + 1):
        bindings.add(str(number))(choose)
    return bindings


_KEYS_MAX: Final = 9
"""Options that have a key of their own."""
