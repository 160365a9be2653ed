"""What is said of agents that are, or may be, on another host."""

from typing import Final

MOVED: Final = "moved"
"""Why an instance is over on a host while it goes on on another."""

NOBODY: Final = ""
"""The coordinator of an instance that is nobody's."""
