"""Finds out what this host allows, by trying it in children that end at once."""

import errno
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

from podium.agent.process import landlock, linux, seccomp

TRIAL_ID: Final = 190_000
"""User and group id that trials as root drop to; any unprivileged one serves."""


def report() -> str:
    """JSON: `namespaces` (`root`, `user` or empty), `users` (`mapped`, `own` or empty), `setuid`, `fence`, and `refusals`: what
    was tried in vain, with the system's words."""
    root = os.geteuid() == 0
    refusals: dict[str, str] = {}

    def allowed(name: str, trial: Callable[[], None]) -> bool:
        refusal = _refusal(trial)
        if refusal:
            refusals[name] = refusal
        return not refusal

    namespaces = ""
    if root and allowed("namespaces as root", lambda: _namespaces(linux.CLONE_NEWPID | linux.CLONE_NEWNS)):
        namespaces = "root"
    elif allowed("namespaces as a user", _namespaces_as_user):
        namespaces = "user"
    if root:
        users = "mapped" if allowed("user namespaces", _mapped_users) else ""
    else:
        users = "own" if allowed("user namespaces", _own_users) else ""
    setuid = root and allowed("change of user id", _drop)
    fence = allowed("landlock and seccomp", _fence)
    return json.dumps(
        {"namespaces": namespaces, "users": users, "setuid": setuid, "fence": fence, "refusals": refusals}
    )


def _refusal(trial: Callable[[], None]) -> str:
    """Runs `trial` in a child; empty when it went well."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        said, code = b"", 0
        try:
            trial()
        except OSError as error:
            said, code = str(error.strerror or error).encode(), 1
        os.write(writer, said)
        os._exit(code)
    os.close(writer)
    said = b""
    while chunk := os.read(reader, 4096):
        said += chunk
    os.close(reader)
    _, status = os.waitpid(pid, 0)
    return said.decode() or ("" if status == 0 else f"ended with status {status}")


def _namespaces(flags: int) -> None:
    linux.unshare(flags)
    linux.follow_host_mounts()
    refusal = _refusal(linux.mount_proc)
    if refusal:
        raise OSError(1, refusal)


def _namespaces_as_user() -> None:
    uid, gid = os.geteuid(), os.getegid()
    linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWPID | linux.CLONE_NEWNS)
    linux.map_own_ids(uid, gid)
    linux.follow_host_mounts()
    refusal = _refusal(linux.mount_proc)
    if refusal:
        raise OSError(1, refusal)


def _own_users() -> None:
    uid, gid = os.geteuid(), os.getegid()
    for _ in range(2):  # once for the template, once for each agent
        linux.unshare(linux.CLONE_NEWUSER)
        linux.map_own_ids(uid, gid)


def _mapped_users() -> None:
    """As a template does: the child drops, goes into its own namespace, and is given another id from outside."""
    told, tell = os.pipe()
    heard, answer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _drop()
        linux.unshare(linux.CLONE_NEWUSER)
        os.write(tell, b"r")
        os.read(heard, 1)
        os.setgroups([])
        os.setresgid(TRIAL_ID + 1, TRIAL_ID + 1, TRIAL_ID + 1)
        os.setresuid(TRIAL_ID + 1, TRIAL_ID + 1, TRIAL_ID + 1)
        os._exit(0)
    os.close(tell)
    if os.read(told, 1):
        for kind in ("gid_map", "uid_map"):
            Path(f"/proc/{pid}/{kind}").write_text(f"{TRIAL_ID + 1} {TRIAL_ID + 1} 1\n")
        os.write(answer, b"g")
    else:
        os.kill(pid, signal.SIGKILL)
    if os.waitpid(pid, 0)[1] != 0:
        raise OSError(1, "a user namespace can't be made or mapped")


def _fence() -> None:
    if not landlock.version():
        raise OSError(errno.ENOSYS, "this kernel has no Landlock, or it is off (lsm=…)")
    linux.forbid_new_privileges()
    landlock.confine(["/usr"], ["/dev/null"])
    seccomp.install()


def _drop() -> None:
    os.setgroups([])
    os.setresgid(TRIAL_ID, TRIAL_ID, TRIAL_ID)
    os.setresuid(TRIAL_ID, TRIAL_ID, TRIAL_ID)
