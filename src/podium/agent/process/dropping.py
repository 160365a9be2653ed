"""Runs a program under another user id, in directories that id could not reach. For building dependencies as root."""

import json
import os
from pathlib import Path
from typing import NoReturn

from podium.agent.process import linux, mounts


def run_under(uid: int, visible: list[str], command: list[str]) -> NoReturn:
    """Becomes `command` under `uid` (also as group id); the directories `visible` are made reachable where they are not.

    Raises:
        OSError: the host refuses a step.
    """
    if any(mounts.closed_ancestor(Path(path)) for path in visible):
        linux.unshare(linux.CLONE_NEWNS)
        linux.follow_host_mounts()
        mounts.make_visible(visible)
    directory = os.getcwd()
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    linux.forbid_new_privileges()
    os.chdir(directory)  # again: the old one may lie under what was laid over it
    os.execv(command[0], command)


def main(uid: str, visible: str, *command: str) -> NoReturn:
    """The same from arguments: the directories come as JSON."""
    run_under(int(uid), json.loads(visible), list(command))
