"""`python -m podium.coordinator`: a coordinator, configured by the environment."""

import sys

from podium.base.daemon import start_daemon
from podium.base.settings import CoordinatorSettings
from podium.coordinator.app import run

if __name__ == "__main__":
    sys.exit(start_daemon("coordinator", CoordinatorSettings, run))
