"""Where the working tree lies: in the workspace's directory, or, for the `watch` backend, where users expect it.

`watch` has nothing that shows the tree elsewhere, so the tree itself moves there, by rename, and `tree` becomes a link to it. The file
`tree-at` is written first and removed last, so that a crash in between is repaired by doing it again.
"""

import contextlib
import errno
import os
from pathlib import Path
from typing import Final

from chronicle.layout import Layout
from chronicle.model.errors import InvalidInputError, StorageError
from chronicle.model.paths import MAGIC

_NOT_EMPTY: Final = frozenset({errno.ENOTEMPTY, errno.EEXIST})


def move_out(layout: Layout, directory: Path) -> None:
    """Brings the tree to `directory`, which is empty or has it already; a link to the workspace is left in it.

    Raises:
        InvalidInputError: `directory` holds something, or is on another file system.
    """
    where = _where(layout)
    if where is not None and where != directory:
        move_home(layout)
        where = None
    if where is None:
        (layout.root / "tree-at").write_bytes(os.fsencode(directory))
    if not layout.tree.is_symlink():
        _rename(layout.tree, directory)
        layout.tree.symlink_to(directory)
    link = directory / os.fsdecode(MAGIC)
    if not link.is_symlink():
        link.symlink_to(layout.root)


def move_home(layout: Layout) -> None:
    """Brings the tree back into the workspace's directory, and leaves an empty one where it was. Nothing when it is at home."""
    where = _where(layout)
    if where is None:
        return
    if layout.tree.is_symlink():
        layout.tree.unlink()
    if not layout.tree.exists():
        with contextlib.suppress(FileNotFoundError):
            (where / os.fsdecode(MAGIC)).unlink()
        _rename(where, layout.tree)
        where.mkdir(mode=0o755)
    (layout.root / "tree-at").unlink()


def _where(layout: Layout) -> Path | None:
    try:
        return Path(os.fsdecode((layout.root / "tree-at").read_bytes()))
    except FileNotFoundError:
        return None


def _rename(source: Path, target: Path) -> None:
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno in _NOT_EMPTY:
            raise InvalidInputError(f"{target} is not empty") from error
        if error.errno == errno.EXDEV:
            raise InvalidInputError(
                f"{target} is on another file system than {source}; without FUSE the tree itself lies there: "
                "keep the workspace beside it"
            ) from error
        raise StorageError(f"{source} can't become {target}: {error.strerror}") from error
