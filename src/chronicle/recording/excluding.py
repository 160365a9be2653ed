"""Which paths have no history: the workspace's patterns, asked on a hot path and therefore remembered."""

from typing import Final

from chronicle.model.excludes import Excludes
from chronicle.model.paths import MAGIC, is_beside

_REMEMBERED: Final = 16384
"""Answers kept; all are forgotten when there are more."""


class Excluded:
    """Asks the patterns once for each path, as long as few are asked for. `.chronicle` and
    names that begin with `.chronicle-new-` always are.

    `any`: there are patterns. `anchored`: some depend on where a path is, so that renaming a directory may change what is
    excluded below it.
    """

    def __init__(self, patterns: tuple[str, ...]) -> None:
        """Raises `InvalidInputError` when a pattern is malformed."""
        self.any = bool(patterns)
        self.anchored = any("/" in pattern.rstrip("/") for pattern in patterns)
        self._matches = Excludes(patterns).excludes
        self._answers: dict[tuple[bytes, bool], bool] = {}

    def __call__(self, path: bytes, is_directory: bool = False) -> bool:
        """Whether the path, or a directory above it, is excluded."""
        if path.startswith(MAGIC) and (len(path) == len(MAGIC) or path[len(MAGIC)] == 0x2F):
            return True
        if is_beside(path):
            return True
        if not self.any:
            return False
        asked = (path, is_directory)
        answer = self._answers.get(asked)
        if answer is None:
            if len(self._answers) >= _REMEMBERED:
                self._answers.clear()
            answer = self._answers[asked] = self._matches(path, is_directory)
        return answer
