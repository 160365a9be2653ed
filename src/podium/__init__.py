"""Podium: deploys and runs AI agents."""

from typing import Final

__version__: Final = "0.1.0"
"""Version of the distribution, of its daemons and of its API."""
