"""Where a workspace and a pool keep things on disk, and the settings of a workspace. The format is in `docs/internals/chronicle.md`."""

import os
import secrets
from pathlib import Path
from typing import Final, Literal

import msgspec

from chronicle.model.errors import DamagedError, InvalidInputError, WorkspaceNotFoundError

FORMAT: Final = 1
"""Version of the layout; a higher one is refused."""

Durability = Literal["queued", "sync"]
"""When a change is in the history. `queued`: a moment later, and in the journal, which outlives any crash but the host's, before the call
that ended it returns. `sync`: in the history and on the disk before that call returns."""


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which moments stay readable; head always does. All None/False: everything is kept.

    `last`: the newest N iterations. `within_s`: iterations of the last so many seconds. `checkpoints`: checkpointed moments.
    A moment stays when any rule that is set keeps it. `history_bytes` bounds what they keep, by size: only the newest iterations stay
    whose contents together have at most so many bytes, each counted with its whole size for each iteration that wrote it, although
    equal contents and parts of large ones are stored once, and compressed. What the files hold now always stays, however much that is.
    """

    last: int | None = None
    within_s: int | None = None
    checkpoints: bool = False
    history_bytes: int | None = None

    @property
    def keeps_all(self) -> bool:
        """Whether nothing is ever dropped."""
        return self.last is None and self.within_s is None and not self.checkpoints and self.history_bytes is None


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`workspace.json`: what a workspace is. Changed only by who holds its lock, by writing it anew.

    `pool` is the directory of the object pool, absolute or relative to the workspace's directory. `exclude` has gitignore
    patterns of paths without history. `quota_bytes` None: no limit.
    """

    workspace_id: str
    pool: str = "pool"
    exclude: tuple[str, ...] = ()
    durability: Durability = "queued"
    quota_bytes: int | None = None
    retention: Retention = Retention()
    created_at: int = 0
    format: int = FORMAT


class Layout:
    """Paths below a workspace's directory.

    ```
    workspace.json      settings
    tree/               the working tree: plain files, what the mount shows; mode 0700 above it keeps others out
    history/            head.db and sealed segments
    pending/            contents that wait to be recorded, hard links or copies
    journal             changes in order that are not in the history yet
    lock                held (flock) by the one process that writes the workspace
    control.sock        that process listens here
    mount.json          where it is mounted and by whom, while it is
    page                memory that this process shares with users of the mount (`chronicle.page`)
    ```
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.settings_file = root / "workspace.json"
        self.tree = root / "tree"
        self.history = root / "history"
        self.pending = root / "pending"
        self.journal = root / "journal"
        self.lock = root / "lock"
        self.control = root / "control.sock"
        self.mount_file = root / "mount.json"
        self.page = root / "page"

    def exists(self) -> bool:
        """Whether a workspace is there."""
        return self.settings_file.is_file()

    def pool(self, settings: Settings) -> Path:
        """The object pool's directory."""
        return (self.root / settings.pool).resolve()

    def read_settings(self) -> Settings:
        """The settings.

        Raises:
            WorkspaceNotFoundError: there is no workspace here.
            DamagedError: the file can't be read as settings.
            InvalidInputError: made by a newer Chronicle.
        """
        try:
            settings = msgspec.json.decode(self.settings_file.read_bytes(), type=Settings)
        except (FileNotFoundError, NotADirectoryError):
            raise WorkspaceNotFoundError(str(self.root)) from None
        except msgspec.DecodeError as error:
            raise DamagedError(f"{self.settings_file}: {error}") from error
        if settings.format > FORMAT:
            raise InvalidInputError(
                f"{self.root} has format {settings.format}; this Chronicle knows up to {FORMAT}: upgrade it"
            )
        return settings

    def write_settings(self, settings: Settings) -> None:
        """Writes the settings, whole or not at all."""
        beside = self.settings_file.with_name(f".workspace-{secrets.token_hex(4)}.json")
        beside.write_bytes(msgspec.json.format(msgspec.json.encode(settings), indent=2) + b"\n")
        os.replace(beside, self.settings_file)

    def make(self, settings: Settings) -> None:
        """Makes the directories and the settings of a new workspace; the settings last, so that it is there whole or not."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for directory in (self.tree, self.history, self.pending):
            directory.mkdir(mode=0o700, exist_ok=True)
        self.write_settings(settings)
