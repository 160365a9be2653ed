"""`podium dev` and `podium chat` on a real terminal: a pseudo terminal that the test reads and types into."""

import fcntl
import os
import re
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.agents import Runtime, in_every_language
from tests.system.cli.platforms import Up, command, environment, eventually, running

SECONDS = 40.0
RESTARTS_MAX = 10
"""On a busy machine any one restart may take longer than it should; not all of so many."""

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r")


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._ours, theirs = os.openpty()
        os.set_blocking(self._ours, False)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.process = subprocess.Popen(
            command(*arguments),
            cwd=folder,
            env=environment(TERM="xterm", PROMPT_TOOLKIT_NO_CPR="1"),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(theirs)
        self._seen = ""

    def seen(self) -> str:
        """Everything that appeared so far, without control sequences."""
        while True:
            try:
                data = os.read(self._ours, 65536)
            except (BlockingIOError, OSError):
                break
            if not data:
                break
            self._seen += data.decode(errors="replace")
        return _CONTROL.sub("", self._seen)

    def wait_for(self, text: str, times: int = 1) -> None:
        """Waits until `text` has appeared."""
        try:
            eventually(lambda: self.seen().count(text) >= times, SECONDS)
        except TimeoutError:
            raise AssertionError(f"{text!r} did not appear:\n{self.seen()}") from None

    def type(self, text: str) -> None:
        """Types."""
        os.write(self._ours, text.encode())

    def close(self) -> int:
        """Ends it, if it still runs; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(SECONDS)
        os.close(self._ours)
        return code


def _take_terminal() -> None:
    """Makes stdin the controlling terminal, so that Ctrl-C becomes a signal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@contextmanager
def terminal(folder: Path, *arguments: str) -> Iterator[Terminal]:
    made = Terminal(folder, *arguments)
    try:
        yield made
    finally:
        made.close()


class Edits(NamedTuple):
    """What is done to a new agent in one language, and what is then said."""

    file: str
    broken: str
    """Put at its end: it is no code any more."""
    refused: str
    fails: tuple[str, str]
    """Replaced by what throws."""
    error: str
    unknown: str
    """Put at its beginning: an import of what is not there."""


EDITS: dict[Runtime, Edits] = {
    "python": Edits(
        "agent.py",
        "\ndef broken(:\n",
        "not restarted:",
        ("        ctx.state.count += 1\n", "        1 / 0\n"),
        "ZeroDivisionError",
        "import no_such_module\n",
    ),
    "typescript": Edits(
        "src/agent.ts",
        "\nfunction broken( {\n",
        "it would not run",
        ("    ctx.state.count += 1;\n", "    throw new RangeError();\n"),
        "RangeError",
        'import "no_such_module";\n',
    ),
}


def restarts(screen: Terminal) -> list[float]:
    """How long each restart took, in seconds, as it was said."""
    return [float(said) for said in re.findall(r"restarted in (\d+\.\d+) s", screen.seen())]


@pytest.mark.proves("CLI-DEV-KEEPS")
@in_every_language
def test_a_save_restarts_the_agent_with_what_it_knows(tmp_path: Path, runtime: Runtime) -> None:
    new = command("new", "my-agent", "--runtime", runtime)
    subprocess.run(new, cwd=tmp_path, env=environment(), check=True, capture_output=True)
    edits = EDITS[runtime]
    agent = tmp_path / "my-agent" / edits.file
    with terminal(tmp_path, "dev", "my-agent") as screen:
        screen.wait_for("save a file to restart it")
        screen.type("hello\r")
        screen.wait_for("That was message 1.")
        agent.write_text(agent.read_text().replace("That was message", "This is number"))
        screen.wait_for(f"{edits.file}: restarted in ")
        screen.type("again\r")
        screen.wait_for("This is number 2.")
        good = agent.read_text()
        agent.write_text(good + edits.broken)
        screen.wait_for(edits.refused)
        screen.type("and now\r")
        screen.wait_for("This is number 3.")
        agent.write_text(good.replace(*edits.fails))
        screen.wait_for("restarted in ", times=2)
        screen.type("fail\r")
        screen.wait_for(edits.error)
        agent.write_text(edits.unknown + good)
        screen.wait_for("the version before runs on")
        agent.write_text(good)
        screen.wait_for("restarted in ", times=3)
        screen.type("last\r")
        screen.wait_for("This is number 4.")
        while min(lengths := restarts(screen)) >= 1.0 and len(lengths) < RESTARTS_MAX:
            agent.write_text(f"{good}{agent.read_text().removeprefix(good)}\n")
            screen.wait_for("restarted in ", times=len(lengths) + 1)
        assert min(lengths) < 1.0, lengths
        screen.type("\x04")
        assert screen.process.wait(SECONDS) == 0
    assert not (tmp_path / ".podium").exists() or not (tmp_path / ".podium" / "address").exists()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A platform with two examples deployed."""
    examples = Path(__file__).parents[3] / "examples"
    with running(tmp_path_factory.mktemp("chat")) as made:
        made.run("deploy", str(examples / "counter"))
        made.run("deploy", str(examples / "toolsmith"))
        yield made


def test_chat_asks_with_number_keys_and_goes_on_where_it_was(up: Up) -> None:
    with terminal(up.folder, "chat", "toolsmith") as screen:
        screen.wait_for("Ctrl-D leaves")
        screen.type("make a tool\r")
        screen.wait_for("1 count-words     2 words")
        screen.type("2")
        screen.wait_for("3 Reject")
        screen.type("1")
        screen.wait_for("I made words.sh, and it works.")
        screen.wait_for("1.2k in, 340 out")
        screen.type("\x04")
        assert screen.process.wait(SECONDS) == 0
    with terminal(up.folder, "chat", "toolsmith") as screen:
        screen.wait_for("I made words.sh, and it works.")


def test_ctrl_c_cancels_the_turn_and_twice_leaves(up: Up) -> None:
    with terminal(up.folder, "chat", "counter") as screen:
        screen.wait_for("Ctrl-D leaves")
        screen.type("count to 2000\r")
        screen.wait_for(" 5 6 ")
        screen.type("\x03")
        screen.wait_for("cancelled")
        screen.type("count to 2000\r")
        screen.wait_for("going on after")
        screen.type("\x03")
        screen.wait_for("cancelling; Ctrl-C again leaves", times=2)
        screen.type("\x03")
        assert screen.process.wait(SECONDS) == 0
