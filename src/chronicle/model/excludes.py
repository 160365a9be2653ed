"""Which paths have no history: gitignore patterns with gitignore's rules for directories."""

from collections.abc import Iterable
from typing import Final

from pathspec import GitIgnoreSpec

from chronicle.model.errors import InvalidInputError
from chronicle.model.paths import MAGIC, parent_of

_REMEMBERED_DIRECTORIES: Final = 4096
"""How many directories' answers are kept: asking again costs a look-up instead of all patterns at every level."""


class Excludes:
    """The patterns of one workspace, in the syntax of `gitignore(5)`, all relative to the workspace's root.

    As in git: the last pattern that matches decides, `!` includes again, a trailing slash means directories only, a slash
    elsewhere binds to the root; and nothing below an excluded directory can be included again. Chronicle's own directory at
    the root is always excluded.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        """Raises `InvalidInputError`, naming the pattern, when one is malformed."""
        lines = []
        for pattern in patterns:
            try:
                GitIgnoreSpec.from_lines([pattern])
            except ValueError as error:
                raise InvalidInputError(f"exclude pattern {pattern!r}: {error}") from error
            lines.append(pattern)
        spec = GitIgnoreSpec.from_lines(lines)
        self._spec = spec if any(pattern.include is not None for pattern in spec.patterns) else None
        self._directories: dict[bytes, bool] = {}

    def excludes(self, path: bytes, is_directory: bool = False) -> bool:
        """Whether the path has no history. The root always has."""
        if path == MAGIC or path.startswith(MAGIC + b"/"):
            return True
        if self._spec is None or not path:
            return False
        if is_directory:
            return self._directory(path)
        return self._directory(parent_of(path)) or self._matches(path)

    def _directory(self, path: bytes) -> bool:
        """Whether the directory is excluded, itself or by one it lies in. A loop: paths may be thousands of levels deep."""
        unknown: list[bytes] = []
        answer = False
        while path:
            known = self._directories.get(path)
            if known is not None:
                answer = known
                break
            unknown.append(path)
            path = parent_of(path)
        if len(self._directories) + len(unknown) > _REMEMBERED_DIRECTORIES:
            self._directories.clear()
        for directory in reversed(unknown):
            answer = answer or self._matches(directory + b"/")
            self._directories[directory] = answer
        return answer

    def _matches(self, path: bytes) -> bool:
        # Bytes that are no UTF-8 stay what they are on the way through text.
        return self._spec is not None and self._spec.match_file(path.decode(errors="surrogateescape"))
