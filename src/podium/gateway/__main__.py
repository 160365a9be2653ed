"""`python -m podium.gateway`: a gateway, configured by the environment."""

import sys

from podium.base.daemon import start_daemon
from podium.base.settings import GatewaySettings
from podium.gateway.app import run

if __name__ == "__main__":
    sys.exit(start_daemon("gateway", GatewaySettings, run))
