"""Connects to the coordinator and runs the agent: the last step of every start, in a fork or a fresh interpreter."""

import os
import socket
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from podium.agent.entry import AgentFactory

SOCKET_VARIABLE: Final = "PODIUM_SOCKET"
"""Environment variable that names the Unix socket an agent's process connects to."""


def connect() -> socket.socket:
    """The agent link. The path may be longer than an address of a socket can be.

    Raises:
        OSError: nobody listens there.
    """
    directory, name = os.path.split(os.environ[SOCKET_VARIABLE])
    handle = os.open(directory or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        link.connect(f"/proc/self/fd/{handle}/{name}")
    except OSError:
        link.close()
        raise
    finally:
        os.close(handle)
    return link


def run_factory(factory: "AgentFactory") -> int:
    """Runs an agent whose entry the template has loaded; returns the exit code."""
    from podium.agent import runtime

    return _finish(runtime.run(connect(), factory))


def run_entry(directory: str, entry: str) -> int:
    """Loads the author's entry here, then runs it; returns the exit code. Connects first: loading may take long."""
    from podium.agent import runtime
    from podium.agent.entry import load

    link = connect()
    return _finish(runtime.run(link, load(entry, directory)))


def _finish(code: int) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    return code
