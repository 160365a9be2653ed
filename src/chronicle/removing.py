"""Removing a directory with all it holds, however deep it is. No symbolic link is followed.

`shutil.rmtree` of Python 3.11 calls itself for each level and fails at about a thousand; an agent makes a deeper tree in a moment.
"""

import errno
import os
from pathlib import Path
from typing import Final, NamedTuple

_LIST: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: str | bytes | Path, *, dir_fd: int | None = None, ignore_errors: bool = False) -> None:
    """Removes the directory at `path`, which is relative to the directory `dir_fd` when that is given.

    Memory is needed for the names of the directories on the way down, and two descriptors. What can't be removed stays, with what
    it lies in; the rest is removed.

    Raises, unless `ignore_errors`:
        FileNotFoundError: nothing is there.
        NotADirectoryError: something else is there, also a symbolic link to a directory.
        OSError: something could not be removed: the first of it.
    """
    refused: list[OSError] = []
    try:
        emptying = _Emptying(os.open(path, _LIST, dir_fd=dir_fd), refused)
        try:
            emptying.run()
        finally:
            emptying.close()
        os.rmdir(path, dir_fd=dir_fd)
    except OSError as error:
        refused.append(error)
    if refused and not ignore_errors:
        raise refused[0]


class _Above(NamedTuple):
    """A directory on the way down: which one it is, the name in it that was entered, names of directories still to be removed."""

    identity: tuple[int, int]
    entered: bytes
    rest: list[bytes]


class _Emptying:
    """One run through everything below a directory, whose descriptor it owns. It stands in one directory at a time."""

    def __init__(self, top: int, refused: list[OSError]) -> None:
        self._here = top
        self._refused = refused
        self._way: list[_Above] = []

    def close(self) -> None:
        os.close(self._here)

    def run(self) -> None:
        """Removes all. Raises OSError when it can't go on."""
        directories = self._clear()
        while directories or self._way:
            if not directories:
                directories = self._leave()
                continue
            name = directories.pop()
            if self._enter(name, directories):
                directories = self._clear()

    def _clear(self) -> list[bytes]:
        """Removes what is no directory from here; the names of the directories."""
        directories = []
        try:
            with os.scandir(self._here) as listing:
                entries = [(os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in listing]
        except OSError as error:
            self._refused.append(error)
            return []
        for name, is_directory in entries:
            if is_directory:
                directories.append(name)
            else:
                self._unlink(name)
        return directories

    def _enter(self, name: bytes, rest: list[bytes]) -> bool:
        try:
            below = os.open(name, _LIST, dir_fd=self._here)
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):  # exchanged meanwhile
                self._unlink(name)
            elif error.errno != errno.ENOENT:
                self._rmdir(name)  # an empty one needs no opening
            return False
        self._way.append(_Above(_identity(self._here), name, rest))
        os.close(self._here)
        self._here = below
        return True

    def _leave(self) -> list[bytes]:
        """Goes up and removes the directory it was in; the names that are still to be removed there."""
        came_from = self._way.pop()
        above = os.open(b"..", _LIST, dir_fd=self._here)
        os.close(self._here)
        self._here = above
        if _identity(above) != came_from.identity:  # nothing must be removed where it was moved to
            raise OSError(
                errno.ESTALE, "a directory was moved while it was being removed", os.fsdecode(came_from.entered)
            )
        self._rmdir(came_from.entered)
        return came_from.rest

    def _unlink(self, name: bytes) -> None:
        try:
            os.unlink(name, dir_fd=self._here)
        except FileNotFoundError:
            pass
        except OSError as error:
            self._refused.append(error)

    def _rmdir(self, name: bytes) -> None:
        try:
            os.rmdir(name, dir_fd=self._here)
        except FileNotFoundError:
            pass
        except OSError as error:
            self._refused.append(error)


def _identity(directory: int) -> tuple[int, int]:
    seen = os.fstat(directory)
    return seen.st_dev, seen.st_ino
