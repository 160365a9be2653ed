"""Where things lie below the data directory."""

import os
import shutil
from pathlib import Path
from typing import Final, NamedTuple

from diminuendo.domain.ids import is_session_id
from podium.wire.ids import is_tenant_id

_DIRECTORY_MODE: Final = 0o700
_FILE_MODE: Final = 0o600


class Places(NamedTuple):
    """The data directory. Ids become parts of paths, so each is checked here once more."""

    root: Path

    def registry(self, tenant_id: str) -> Path:
        """`tenants/{tenant}/registry.db`.

        Raises:
            ValueError: that is no tenant id.
        """
        if not is_tenant_id(tenant_id):
            raise ValueError(f"{tenant_id!r} is no tenant id")
        return self.root / "tenants" / tenant_id / "registry.db"

    def session(self, session_id: str) -> Path:
        """`sessions/{session}/session.db`.

        Raises:
            ValueError: that is no session id.
        """
        if not is_session_id(session_id):
            raise ValueError(f"{session_id!r} is no session id")
        return self.root / "sessions" / session_id / "session.db"

    def tenants(self) -> list[str]:
        """The tenants that have a registry."""
        found = (self.root / "tenants").glob("*/registry.db")
        return sorted(path.parent.name for path in found if is_tenant_id(path.parent.name))

    def remove_session(self, session_id: str) -> None:
        """Removes what is kept of a session; nothing there is fine. Its database must be closed."""
        shutil.rmtree(self.session(session_id).parent, ignore_errors=True)


def prepare(path: Path) -> None:
    """Makes the directory of a database and its file, for their owner's eyes only; what is there stays.

    Raises:
        OSError: they can't be made.
    """
    path.parent.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE))
