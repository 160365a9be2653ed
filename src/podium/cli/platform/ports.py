"""Ports of the daemons: from the environment, checked before anything is started."""

import errno
import socket
from collections.abc import Mapping
from typing import Final

from podium.cli.failures import ConfigurationError

GATEWAY_PORT: Final = 8090
COORDINATOR_PORT: Final = 9090
DIMINUENDO_PORT: Final = 8080


def choose_port(environment: Mapping[str, str], variable: str, default: int) -> int:
    """The port in `variable`, or `default`; 0 chooses one that is free.

    Raises:
        ConfigurationError: it is no port, or somebody listens on it.
    """
    given = environment.get(variable, "") or str(default)
    if not given.isdigit() or int(given) > 65535:
        raise ConfigurationError(f"{variable}={given!r} is no port; write a number from 0 to 65535")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(given)))
        except OSError as error:
            why = "is in use" if error.errno == errno.EADDRINUSE else f"can't be used ({error.strerror})"
            raise ConfigurationError(f"port {given} {why}; set {variable} to another one, or to 0") from error
        return int(probe.getsockname()[1])
