"""`python -m chronicle.daemon --directory D`: the supervisor, in the foreground. SIGTERM unmounts everything and ends it."""

import argparse
import logging
import sys
from pathlib import Path

from chronicle.daemon.logs import log_to_stderr
from chronicle.daemon.supervisor import Supervisor, say_ready
from chronicle.model.errors import ChronicleError

_log = logging.getLogger("chronicle.daemon")


def main() -> int:
    """Runs the supervisor; 0 when it ended as told, 1 when it could not begin."""
    parser = argparse.ArgumentParser(prog="python -m chronicle.daemon", description="Mounts Chronicle workspaces.")
    parser.add_argument(
        "--directory", type=Path, required=True, help="its own directory: socket, lock, notes of mounts; made, 0700"
    )
    parser.add_argument("--log-format", choices=("text", "json"), default="text", help="how it logs to stderr")
    parser.add_argument("--until-idle", action="store_true", help="end when the last mount is unmounted")
    parser.add_argument("--spare", action="store_true", help="keep a process ready for the next mount, after the first")
    arguments = parser.parse_args()
    log_to_stderr(arguments.log_format)
    directory = arguments.directory.absolute()
    try:
        supervisor = Supervisor(directory, until_idle=arguments.until_idle, spare=arguments.spare)
    except (ChronicleError, OSError) as error:
        sys.stdout.write(f"{error}\n")
        _log.error("the daemon does not start", extra={"reason": str(error)})
        return 1
    supervisor.run(lambda: say_ready(directory))
    return 0


if __name__ == "__main__":
    sys.exit(main())
