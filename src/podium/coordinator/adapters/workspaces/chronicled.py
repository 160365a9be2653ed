"""Runs Chronicle's supervisor below a coordinator: it ends, with all its mounts, when the coordinator does, however that ends.

A script that imports nothing of Podium, so that each mount's process stays small:
`python -P chronicled.py COORDINATOR_PID SHARED arguments of chronicle.daemon…`. `SHARED`: a directory that was made a mount of its own
for the mounts (empty: none); when the coordinator was killed nobody else takes that away.
"""

import contextlib
import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1
_MNT_DETACH = 2


def main() -> None:
    """Becomes the supervisor; cleans up behind it."""
    coordinator, shared = int(sys.argv[1]), sys.argv[2]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != coordinator:
        return
    own, mounted = os.getpid(), os.open(shared, os.O_PATH | os.O_CLOEXEC) if shared else -1
    sys.argv[:] = ["chronicle.daemon", *sys.argv[3:]]
    try:
        runpy.run_module("chronicle.daemon", run_name="__main__", alter_sys=True)
    finally:
        # Not in a worker, which is a fork of this process; and not while the coordinator lives, who does it when all is over.
        # What is mounted there now may be the next coordinator's, which began meanwhile.
        if shared and os.getpid() == own and os.getppid() != coordinator:
            with contextlib.suppress(OSError):
                if _mount_of(mounted) == _mount_of(os.open(shared, os.O_PATH | os.O_CLOEXEC)):
                    libc.umount2(os.fsencode(shared), _MNT_DETACH)


def _mount_of(descriptor: int) -> str:
    """The id of the mount that an open file lies in; no other has it while the file is open (proc_pid_fdinfo(5))."""
    with open(f"/proc/self/fdinfo/{descriptor}") as lines:
        return next(line.split()[1] for line in lines if line.startswith("mnt_id:"))


if __name__ == "__main__":
    main()
