"""The workspaces that use a pool: `workspaces/{id}`, one file for each, with the path of its directory.

They are plain files, so that a workspace is entered without the pool being opened.
"""

import os
import secrets
from pathlib import Path
from typing import Final

from chronicle.model.errors import InvalidInputError
from chronicle.store.pool.catalogue import translated

USERS: Final = "workspaces"
"""The directory of the files, in the pool's."""


class Users:
    """The users of the pool in `directory`, which is made when it is new."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / USERS
        with translated(f"opening the pool {directory}"):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._directory.mkdir(mode=0o700, exist_ok=True)

    def register(self, workspace_id: str, root: Path) -> None:
        """Notes that the workspace at `root` uses the pool: collection marks what it needs.

        Raises:
            InvalidInputError: it can't be called that.
            StorageError: the disk refuses.
        """
        path = self._file(workspace_id)
        beside = path.with_name(f".{workspace_id}-{secrets.token_hex(4)}")
        with translated(f"registering {workspace_id}"):
            beside.write_bytes(os.fsencode(root))
            os.replace(beside, path)

    def unregister(self, workspace_id: str) -> None:
        """Forgets the workspace; its contents stay until a sweep finds that nobody else needs them."""
        with translated(f"unregistering {workspace_id}"):
            self._file(workspace_id).unlink(missing_ok=True)

    def find(self, workspace_id: str) -> Path | None:
        """The directory of one; None when it does not use the pool."""
        with translated("reading a user of the pool"):
            try:
                return Path(os.fsdecode(self._file(workspace_id).read_bytes()))
            except FileNotFoundError:
                return None

    def all(self) -> dict[str, Path]:
        """The workspaces that use the pool, with their directories."""
        with translated("reading the users of the pool"):
            names = [path.name for path in self._directory.iterdir() if not path.name.startswith(".")]
        found = {name: self.find(name) for name in names}
        return {name: root for name, root in found.items() if root is not None}  # the others have left meanwhile

    def _file(self, workspace_id: str) -> Path:
        if not workspace_id or workspace_id.startswith(".") or "/" in workspace_id or "\0" in workspace_id:
            raise InvalidInputError(f"{workspace_id!r} can't be the id of a workspace")
        return self._directory / workspace_id
