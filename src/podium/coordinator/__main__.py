"""`python -m podium.coordinator`: a coordinator, configured by the environment."""

import os
import sys

from podium.base.config import CONFIG_EXIT, ConfigError, explain, read
from podium.base.settings import CoordinatorSettings
from podium.coordinator.app import run


def main() -> int:
    """Runs the daemon; returns its exit code."""
    try:
        settings = read(CoordinatorSettings, os.environ)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return CONFIG_EXIT
    if "--explain-config" in sys.argv[1:]:
        sys.stdout.write(explain(settings, os.environ) + "\n")
        return 0
    run(settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
