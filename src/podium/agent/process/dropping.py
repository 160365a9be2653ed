"""Runs an installer of dependencies, whose packages run code of strangers: with as few rights as there are, and to its end.

What it started ends with it. With a PID namespace the kernel sees to that, also when this process is killed; where there can be
none, this process adopts what its children leave behind, and kills it.
"""

import contextlib
import json
import os
import signal
from pathlib import Path
from typing import NoReturn

from podium.agent.process import linux, mounts
from podium.agent.process.launcher import sweep


def run_under(uid: int | None, visible: list[str], command: list[str]) -> NoReturn:
    """Runs `command` and ends with its exit code.

    With a `uid` (from root only) it runs under that id (also as group id), and the directories `visible` are made reachable where
    they are not.

    Raises:
        OSError: the host refuses a step.
    """
    alone = _enter_namespaces()
    if not alone:
        linux.adopt_orphans()
    child = os.fork()
    if child == 0:
        _become(uid, visible, command, alone=alone)
    code = 0
    ended = 0
    while ended != child:
        ended, status = os.wait()
        code = os.waitstatus_to_exitcode(status)
    if not alone:
        sweep()
    os._exit(code if code >= 0 else 128 - code)


def _enter_namespaces() -> bool:
    """Namespaces of processes and mounts of its own; whether the host allows them."""
    uid, gid = os.geteuid(), os.getegid()
    try:
        if uid == 0:
            linux.unshare(linux.CLONE_NEWPID | linux.CLONE_NEWNS)
        else:
            linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWPID | linux.CLONE_NEWNS)
            linux.map_own_ids(uid, gid)
        linux.follow_host_mounts()
    except OSError:
        return False
    return True


def _become(uid: int | None, visible: list[str], command: list[str], *, alone: bool) -> NoReturn:
    linux.die_with_parent(signal.SIGKILL)
    if alone:
        with contextlib.suppress(OSError):  # refused in some containers; it only hides other processes
            linux.mount_proc()
    if uid is not None and any(mounts.closed_ancestor(Path(path)) for path in visible):
        if not alone:
            raise PermissionError("the directories it needs are closed to its user id, and this host allows no mounts")
        mounts.make_visible(visible)
    directory = os.getcwd()
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        linux.die_with_parent(signal.SIGKILL)  # again: a change of user id takes it back
    elif alone:
        linux.drop_capabilities()
    linux.forbid_new_privileges()
    os.chdir(directory)  # again: the old one may lie under what was laid over it
    os.execv(command[0], command)


def main(uid: str, visible: str, *command: str) -> NoReturn:
    """The same from arguments: no user id is empty, the directories come as JSON."""
    run_under(int(uid) if uid else None, json.loads(visible), list(command))
