"""How a daemon begins: its arguments, its configuration from the environment, its exit codes."""

import argparse
import errno
import os
import sys
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from podium.base.config import CONFIG_EXIT, ConfigError, explain, inspect
from podium.base.discovery import DiscoveryUnavailableError
from podium.base.objects import ObjectStoreUnavailableError

UNAVAILABLE_EXIT: Final = 69
"""Exit code when something the daemon stands on can't be used (`EX_UNAVAILABLE` of sysexits)."""

_T = TypeVar("_T")


def start_daemon(name: str, kind: type[_T], run: Callable[[_T], None], arguments: Sequence[str] | None = None) -> int:
    """Runs the daemon `name`, configured by the environment as `kind` says; returns its exit code.

    `arguments`: those of the command line, unless others are given. `--explain-config` prints each value and where it came from, also when
    the configuration is refused, and runs nothing.
    """
    parser = argparse.ArgumentParser(
        prog=f"podium {name}",
        description=f"Runs the {name} of a Podium platform. It is configured by the environment alone.",
        epilog="The variables are in docs/reference/configuration.md; `podium up` sets those that have no default.",
    )
    parser.add_argument("--explain-config", action="store_true", help="print each setting and where it came from")
    parsed = parser.parse_args(arguments)
    settings, problems = inspect(kind, os.environ)
    if parsed.explain_config:
        sys.stdout.write(explain(settings, os.environ) + "\n")
    if problems:
        sys.stderr.write(f"{ConfigError(problems)}\n")
        return CONFIG_EXIT
    if parsed.explain_config:
        return 0
    try:
        run(settings)
    except (DiscoveryUnavailableError, ObjectStoreUnavailableError) as error:
        sys.stderr.write(f"{name}: {error}\n")
        return UNAVAILABLE_EXIT
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        sys.stderr.write(f"{name}: {error.strerror}; stop what listens there, or choose another port\n")
        return UNAVAILABLE_EXIT
    return 0
