"""Running git, an ordinary program that has to be installed. It is given no configuration but what is said here."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import IO, Final

from chronicle.model.errors import NotSupportedError, StorageError

_SAFE: Final = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")
_SAID: Final = 2000


def command(*arguments: str | Path) -> list[str]:
    """A git command.

    Raises:
        NotSupportedError: git is not installed.
    """
    program = shutil.which("git")
    if program is None:
        raise NotSupportedError("git is not installed (or not in PATH); install it, or use tar")
    return [program, *_SAFE, *map(str, arguments)]


def environment() -> dict[str, str]:
    """Ours, without what would change git's behaviour."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return clean | {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "none",
        "LC_ALL": "C",
    }


def run(*arguments: str | Path) -> bytes:
    """Runs git and returns what it wrote.

    Raises:
        NotSupportedError: git is not installed.
        StorageError: it failed; the message is its own.
    """
    done = subprocess.run(
        command(*arguments), env=environment(), stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if done.returncode != 0:
        raise failed(done.stderr)
    return done.stdout


def failed(said: bytes) -> StorageError:
    """git's own words."""
    return StorageError(f"git: {said[-_SAID:].decode(errors='replace').strip() or 'it failed without a word'}")


class Piped:
    """A git command that is written to and read from, in `with`."""

    def __init__(self, *arguments: str | Path, stderr: IO[bytes]) -> None:
        self._stderr = stderr
        self._process = subprocess.Popen(
            command(*arguments), env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.stdin = self._process.stdin
        self.stdout = self._process.stdout

    def __enter__(self) -> "Piped":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        broken = isinstance(error, BrokenPipeError)
        if error is not None and not broken:
            self._process.kill()
        try:
            self.stdin.close()
        except BrokenPipeError:
            broken = True
        self.stdout.close()
        code = self._process.wait()
        if (error is None and code != 0) or broken:
            self._stderr.seek(0)
            raise failed(self._stderr.read())
