"""What this host allows, found out once by trying."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final, Literal

import msgspec

from podium.agent.process import boot

PROBE_SECONDS: Final = 20.0
"""How long trying may take; it takes some tens of milliseconds."""

Feature = Literal["pid_namespace", "user_namespace", "cgroup"]
"""What can be switched off, to see that things work without it."""


class HostFacts(msgspec.Struct, frozen=True):
    """What the host allows.

    `namespaces`: how a template gets a PID and a mount namespace (`root`, `user`, empty: it can't). `users`: which user
    namespace each agent can have (`mapped` with another user id, `own` with its own, empty). `setuid`: whether the user
    id can be changed. `fence`: whether a process can be fenced in (Landlock, seccomp). `refusals`: what was tried in vain, with the system's words.
    """

    root: bool
    namespaces: Literal["root", "user", ""]
    users: Literal["mapped", "own", ""]
    setuid: bool
    fence: bool = False
    refusals: dict[str, str] = {}


def probe_isolation(without: frozenset[Feature] = frozenset()) -> HostFacts:
    """Tries what the host allows, leaving out what is switched off. Blocking, some tens of milliseconds.

    Raises:
        RuntimeError: trying itself failed.
    """
    done = subprocess.run(
        [sys.executable, "-I", "-B", boot.__file__, "probe"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PROBE_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the host could not be probed: {done.stderr.decode(errors='replace')[-500:]}")
    found = json.loads(done.stdout)
    facts = msgspec.convert({**found, "root": os.geteuid() == 0}, HostFacts)
    if "pid_namespace" in without:
        facts = msgspec.structs.replace(facts, namespaces="")
    if "user_namespace" in without:
        kept = "" if facts.namespaces == "user" else facts.namespaces
        facts = msgspec.structs.replace(facts, users="", namespaces=kept)
    return facts


def package_roots() -> list[Path]:
    """Where the SDK and what it depends on really lie."""
    return [Path(boot.__file__).resolve().parents[2], Path(msgspec.__file__).resolve().parent]
