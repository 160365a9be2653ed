"""Directories of one agent: what its process may use, owned by its user id, and nothing else open to it."""

import contextlib
import os
import stat
from pathlib import Path
from typing import Final

OWN_NAMES: Final = ("home", "tmp")
"""Made for the agent, its own."""

RUN_NAME: Final = "run"
"""Holds the socket; the agent may enter, only the coordinator writes."""

SOCKET_NAME: Final = "ipc.sock"
"""The socket an agent's process connects to."""

_PRIVATE: Final = 0o700
_ENTERED: Final = 0o750


def prepare(agent_directory: Path, workspace: Path, uid: int | None) -> None:
    """Makes what is missing. `uid` is also the group id; None: everything stays the coordinator's.

    The workspace is not looked at: it may be about to be mounted.
    """
    agent_directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    for name in OWN_NAMES:
        _own(agent_directory / name, uid)
    run = agent_directory / RUN_NAME
    run.mkdir(mode=_PRIVATE, exist_ok=True)
    if uid is None:
        return
    for directory in (agent_directory, run):
        _change(directory, 0, uid, _ENTERED)
    _close_others(agent_directory, {*OWN_NAMES, RUN_NAME, workspace.name})


def give_away(directory: Path, uid: int) -> None:
    """Makes everything in `directory` the agent's. Links are not followed. Blocking."""
    for parent, names, files in os.walk(directory, followlinks=False):
        for name in (*names, *files):
            os.chown(os.path.join(parent, name), uid, uid, follow_symlinks=False)
    os.chmod(directory, _PRIVATE)
    os.chown(directory, uid, uid)


def place_of(workspace: Path) -> Path:
    """The real path of a workspace, which need not be there, and is not looked at: whoever looked at a mount that nobody serves yet
    would wait for it."""
    return workspace.parent.resolve() / workspace.name


def _own(directory: Path, uid: int | None) -> None:
    directory.mkdir(mode=_PRIVATE, exist_ok=True)
    if uid is not None:
        _change(directory, uid, uid, _PRIVATE)


def _close_others(agent_directory: Path, known: set[str]) -> None:
    """What else lies there (databases) is the coordinator's alone."""
    for entry in os.scandir(agent_directory):
        theirs = entry.name not in known and entry.is_dir(follow_symlinks=False)
        with contextlib.suppress(FileNotFoundError):  # a workspace in the making is renamed
            if theirs and entry.stat(follow_symlinks=False).st_mode & 0o077:
                os.chmod(entry.path, _PRIVATE)


def _change(directory: Path, uid: int, gid: int, mode: int) -> None:
    now = directory.lstat()
    if not stat.S_ISDIR(now.st_mode):
        raise NotADirectoryError(f"{directory.name} is not a directory")
    if (now.st_uid, now.st_gid) != (uid, gid):
        os.chown(directory, uid, gid, follow_symlinks=False)
    if stat.S_IMODE(now.st_mode) != mode:
        os.chmod(directory, mode)
