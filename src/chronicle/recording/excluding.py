"""Which paths have no history: the workspace's patterns, asked on a hot path and therefore remembered."""

import os
from collections.abc import Callable
from typing import Final

import pathspec

from chronicle.model.paths import MAGIC

_REMEMBERED: Final = 16384
"""Answers kept; all are forgotten when there are more."""


class Excluded:
    """Asks `matches(path, is_directory)` once for each path, as long as few are asked for. `.chronicle` is always excluded."""

    def __init__(self, patterns: tuple[str, ...], matches: Callable[[bytes, bool], bool]) -> None:
        self.any = bool(patterns)
        self.anchored = any("/" in pattern.rstrip("/") for pattern in patterns)
        self._matches = matches
        self._answers: dict[tuple[bytes, bool], bool] = {}

    def __call__(self, path: bytes, is_directory: bool = False) -> bool:
        """Whether the path, or a directory above it, is excluded."""
        if path.startswith(MAGIC) and (len(path) == len(MAGIC) or path[len(MAGIC)] == 0x2F):
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


def matcher(patterns: tuple[str, ...]) -> Callable[[bytes, bool], bool]:
    """What gitignore patterns say about a path: excluded, or within an excluded directory."""
    spec = pathspec.GitIgnoreSpec.from_lines(patterns)

    def matches(path: bytes, is_directory: bool) -> bool:
        shown = os.fsdecode(path)
        above = [shown[:at] + "/" for at, letter in enumerate(shown) if letter == "/"]
        return any(spec.match_file(each) for each in [*above, shown + "/" if is_directory else shown])

    return matches
