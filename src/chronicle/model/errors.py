"""Every error of the package, named by what the caller should do. Facts are attributes; messages are for people.

```
ChronicleError
├── InvalidPathError          the path can't name anything in a workspace: correct it
├── NotFoundError             what was asked for is not there
│   ├── FileNotFoundInHistoryError   the path did not exist at that moment
│   ├── IterationNotFoundError       the moment lies beyond head, or before what this history begins with
│   ├── CheckpointNotFoundError
│   └── WorkspaceNotFoundError
├── VersionDroppedError       the version is known, its content was given up by the retention policy
├── DamagedError              stored bytes are not what they were; `chronicle fsck` says more
├── WorkspaceBusyError        someone else writes this workspace: ask them, or wait
├── NotSupportedError         this host or backend can't do it; the message says what could
├── QuotaExceededError
├── StorageError              the disk or the remote tier refuses (full, read-only, unreachable): mend it, try again
└── InvalidInputError         a setting, a policy or a request is malformed: correct it
```
"""


class ChronicleError(Exception):
    """Base of everything Chronicle raises on purpose."""


class InvalidPathError(ChronicleError):
    """The path can't name anything in a workspace (absolute, `..`, NUL, over 4,096 bytes, a name over 255)."""

    def __init__(self, path: bytes | str, reason: str) -> None:
        super().__init__(f"{path!r} is not a path of the workspace: {reason}")
        self.path = path
        self.reason = reason


class NotFoundError(ChronicleError):
    """What was asked for is not there."""


class FileNotFoundInHistoryError(NotFoundError):
    """Nothing was at this path at that moment. `at` is the iteration asked for, None for now."""

    def __init__(self, path: bytes, at: int | None) -> None:
        shown = path.decode(errors="replace")
        super().__init__(f"{shown}: nothing is there" + ("" if at is None else f" at iteration {at}"))
        self.path = path
        self.at = at


class IterationNotFoundError(NotFoundError):
    """There is no such moment: the workspace's newest iteration is `head`."""

    def __init__(self, iteration: int, head: int) -> None:
        super().__init__(f"iteration {iteration} does not exist; the newest is {head}")
        self.iteration = iteration
        self.head = head


class CheckpointNotFoundError(NotFoundError):
    """No checkpoint has this label or turn."""

    def __init__(self, label: str) -> None:
        super().__init__(f"there is no checkpoint {label!r}; `chronicle log --checkpoints` lists them")
        self.label = label


class WorkspaceNotFoundError(NotFoundError):
    """There is no workspace at this place."""

    def __init__(self, place: str) -> None:
        super().__init__(f"{place} is not a Chronicle workspace; `chronicle mount DIR` makes one")
        self.place = place


class VersionDroppedError(ChronicleError):
    """The version's content was given up by the retention policy; its record remains."""

    def __init__(self, path: bytes, iteration: int) -> None:
        super().__init__(
            f"{path.decode(errors='replace')}: the content of iteration {iteration} was dropped by the retention policy"
        )
        self.path = path
        self.iteration = iteration


class DamagedError(ChronicleError):
    """Stored bytes are not what they were when they were written."""


class WorkspaceBusyError(ChronicleError):
    """Another process writes this workspace."""


class NotSupportedError(ChronicleError):
    """This host, file system or backend can't do what was asked."""


class QuotaExceededError(ChronicleError):
    """The workspace is as large as it may get."""


class StorageError(ChronicleError):
    """The disk or the remote tier refuses. Nothing is lost; the operation can be repeated."""


class InvalidInputError(ChronicleError):
    """A setting, a policy or a request is malformed."""
