"""Runs an installer (`uv`, `bun`) on behalf of a deployment: bounded, under a user id of its own, with what it said as the error."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from podium.agent.process import boot
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.limits import START_FAILURE_LOG_LINES

BUILDER_UID: Final = 189_999
"""User and group id an installer runs under when the coordinator is root."""

OUTPUT_KEPT_BYTES: Final = 256 * 1024
"""What an installer printed last, kept for the error."""

_PASSED: Final = (
    "PATH",
    "LANG",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
)


def passed(prefixes: tuple[str, ...]) -> dict[str, str]:
    """What of our environment an installer needs: how to reach the network, and its own settings. No secret of ours."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.upper() in _PASSED or name.upper().startswith(prefixes)
    }


def under_builder(visible: Iterable[Path]) -> list[str]:
    """What to put before a command so that everything it starts ends with it. As root it also runs under the builder's user id,
    and reaches the directories `visible`."""
    roots = {Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve(), *(path.resolve() for path in visible)}
    shown = json.dumps(sorted(map(str, roots)))
    uid = str(BUILDER_UID) if os.geteuid() == 0 else ""
    return [sys.executable, "-I", "-B", boot.__file__, "under", uid, shown]


async def run_all(
    commands: Iterable[Sequence[str]], directory: Path, variables: Mapping[str, str], seconds: float
) -> None:
    """Runs commands one after the other in `directory`, all within `seconds`.

    Raises:
        PodiumError: `agent_start_failed` with the last lines of the one that failed; nothing of it runs on.
    """
    try:
        async with asyncio.timeout(seconds):
            for command in commands:
                await _run(command, directory, variables)
    except TimeoutError:
        raise PodiumError(
            ErrorCode.AGENT_START_FAILED, f"installing its dependencies took more than {seconds:g} s"
        ) from None


def give_to_builder(directory: Path) -> None:
    """Makes a tree the builder's. Blocking."""
    _change_owner(directory, BUILDER_UID)


def take_back(directory: Path) -> None:
    """What was installed belongs to root again, so that no build of another deployment can change it. Blocking."""
    _change_owner(directory, 0)


def _change_owner(directory: Path, uid: int) -> None:
    for parent, names, files in os.walk(directory):
        for name in (*names, *files):
            os.chown(os.path.join(parent, name), uid, uid, follow_symlinks=False)
    os.chown(directory, uid, uid)


async def _run(command: Sequence[str], directory: Path, variables: Mapping[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=directory,
        env=variables,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    output = bytearray()
    try:
        assert process.stdout is not None
        while chunk := await process.stdout.read(64 * 1024):
            output += chunk
            del output[:-OUTPUT_KEPT_BYTES]
        code = await process.wait()
    finally:  # also when cancelled or out of time
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        if process.returncode is None:
            await process.wait()
    if code != 0:
        lines = output.decode(errors="replace").splitlines()[-START_FAILURE_LOG_LINES:]
        raise PodiumError(
            ErrorCode.AGENT_START_FAILED,
            f"its dependencies could not be installed: the installer {_ended(code)}",
            logs=lines,
        )


def _ended(code: int) -> str:
    """How a command ended, in words: a signal may be all there is to say, when it had no time to print anything.

    `boot.py under` ends as a shell does, with 128 and the number of the signal that its command died of.
    """
    number = -code if code < 0 else code - 128
    if number in {one.value for one in signal.Signals}:
        return f"was killed by {signal.Signals(number).name}"
    return f"ended with exit code {code}"
