"""Named places where a test lets the process die, to prove that whatever was on disk then is whole."""

import os
import signal
from typing import Final

FAULT: Final = "CHRONICLE_FAULT"
"""Environment variable with the name of the point at which this process is to be killed. For crash tests only."""


def fault(name: str) -> None:
    """Kills this process, as a crash would (SIGKILL: nothing is flushed, nothing is tidied), when `name` is asked for."""
    if os.environ.get(FAULT) == name:
        os.kill(os.getpid(), signal.SIGKILL)
