"""Chronicle: a directory that remembers every version of every file. Knows nothing of Podium.

```
with chronicle.Workspace.open("project") as workspace:
    for iteration in workspace.history("notes.md"):
        print(iteration.iteration, iteration.kind, workspace.read("notes.md", iteration.iteration))
```
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chronicle.control.failures import ChangedMeanwhileError as ChangedMeanwhileError
    from chronicle.control.messages import Restored as Restored
    from chronicle.daemon.client import Daemon as Daemon
    from chronicle.daemon.client import DaemonProcess as DaemonProcess
    from chronicle.layout import Retention as Retention
    from chronicle.layout import Settings as Settings
    from chronicle.model.errors import CheckpointNotFoundError as CheckpointNotFoundError
    from chronicle.model.errors import ChronicleError as ChronicleError
    from chronicle.model.errors import DamagedError as DamagedError
    from chronicle.model.errors import FileNotFoundInHistoryError as FileNotFoundInHistoryError
    from chronicle.model.errors import InvalidInputError as InvalidInputError
    from chronicle.model.errors import InvalidPathError as InvalidPathError
    from chronicle.model.errors import IterationNotFoundError as IterationNotFoundError
    from chronicle.model.errors import NotFoundError as NotFoundError
    from chronicle.model.errors import NotSupportedError as NotSupportedError
    from chronicle.model.errors import QuotaExceededError as QuotaExceededError
    from chronicle.model.errors import StorageError as StorageError
    from chronicle.model.errors import VersionDroppedError as VersionDroppedError
    from chronicle.model.errors import WorkspaceBusyError as WorkspaceBusyError
    from chronicle.model.errors import WorkspaceNotFoundError as WorkspaceNotFoundError
    from chronicle.model.findings import Finding as Finding
    from chronicle.model.iterations import Checkpoint as Checkpoint
    from chronicle.model.iterations import Difference as Difference
    from chronicle.model.iterations import Entry as Entry
    from chronicle.model.iterations import Iteration as Iteration
    from chronicle.model.iterations import Version as Version
    from chronicle.removing import remove_tree as remove_tree
    from chronicle.workspace.following import Watch as Watch
    from chronicle.workspace.library import Workspace as Workspace
    from chronicle.workspace.status import Status as Status

_HOMES = {
    "chronicle.workspace.library": ("Workspace",),
    "chronicle.workspace.following": ("Watch",),
    "chronicle.workspace.status": ("Status",),
    "chronicle.daemon.client": ("Daemon", "DaemonProcess"),
    "chronicle.removing": ("remove_tree",),
    "chronicle.layout": ("Retention", "Settings"),
    "chronicle.control.messages": ("Restored",),
    "chronicle.control.failures": ("ChangedMeanwhileError",),
    "chronicle.model.findings": ("Finding",),
    "chronicle.model.iterations": ("Checkpoint", "Difference", "Entry", "Iteration", "Version"),
    "chronicle.model.errors": (
        "CheckpointNotFoundError",
        "ChronicleError",
        "DamagedError",
        "FileNotFoundInHistoryError",
        "InvalidInputError",
        "InvalidPathError",
        "IterationNotFoundError",
        "NotFoundError",
        "NotSupportedError",
        "QuotaExceededError",
        "StorageError",
        "VersionDroppedError",
        "WorkspaceBusyError",
        "WorkspaceNotFoundError",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    # Looked up when first used, so that a program that needs one part does not load them all.
    if name not in _HOME_OF:
        raise AttributeError(f"module 'chronicle' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value
