"""Paths of the agent's workspace as an editor knows them: below the directory the session was opened for."""

from pathlib import PurePosixPath
from typing import NamedTuple


class Paths(NamedTuple):
    """Where the session's files are: for the editor in `cwd`, for the agent in `workspace` (None: not known yet)."""

    cwd: str
    workspace: str | None = None

    def shown(self, path: str) -> str:
        """The absolute path an editor opens: a path of the workspace lies below `cwd`, any other stays as it is."""
        given = PurePosixPath(path)
        if self.workspace is not None and given.is_relative_to(self.workspace):
            given = given.relative_to(self.workspace)
        return str(given if given.is_absolute() else PurePosixPath(self.cwd) / given)
