"""Which level of isolation is in force, and which steps that means. Pure."""

from typing import Final, Literal

import msgspec

from podium.coordinator.adapters.processes.facts import HostFacts
from podium.coordinator.domain.ports import Isolation

Step = Literal["limits", "identity", "no_new_privileges", "fence"]
"""Steps that depend on the level. Always done, at every level: a session, descriptors and an environment of its own,
a private home and temporary directory, and the end of the whole tree with its coordinator."""

STEPS: Final[dict[Isolation, frozenset[Step]]] = {
    "none": frozenset(),
    "process": frozenset({"limits", "identity", "no_new_privileges"}),
    "sandbox": frozenset({"limits", "identity", "no_new_privileges", "fence"}),
}
"""What each level adds."""


class IsolationUnavailableError(Exception):
    """The level that was asked for can't be had on this host; the message says why and what to do."""


class Plan(msgspec.Struct, frozen=True):
    """What is done for every instance.

    `identity`: how it gets its own user id: `mapped` (by the coordinator, into a user namespace; the template has no
    right at all), `setuid` (by itself; so the author's code is loaded only afterwards), or empty (keeps the id).
    `users`: the user namespace of each instance, see `HostFacts`.
    """

    level: Isolation
    namespaces: Literal["root", "user", ""]
    identity: Literal["mapped", "setuid", ""]
    users: Literal["mapped", "own", ""]

    @property
    def closed(self) -> bool:
        """Whether the steps of level `process` are taken."""
        return "no_new_privileges" in STEPS[self.level]

    @property
    def sandboxed(self) -> bool:
        """Whether an agent sees only what is its own and a read-only system."""
        return "fence" in STEPS[self.level]

    @property
    def hides_deployments(self) -> bool:
        """Whether a template gets the deployment it needs bound into a mount namespace, and sees no other."""
        return bool(self.identity) and self.namespaces == "root"


def choose(wanted: str | None, facts: HostFacts, unreachable: str | None) -> Plan:
    """The plan for the level `wanted`; None: the best the host can give. `unreachable` names a directory that other
    user ids can't reach on this host, if there is one; a mount namespace gets around it.

    Raises:
        IsolationUnavailableError: the host can't give what is wanted.
    """
    if wanted not in (None, "none", "process", "sandbox"):
        raise IsolationUnavailableError(f"PODIUM_ISOLATION={wanted}: use none, process or sandbox")
    if wanted == "none":
        return Plan("none", facts.namespaces, "", "")
    level = _level(wanted, facts)
    if not facts.root:
        return Plan(level, facts.namespaces, "", facts.users)
    refusal = _refusal(facts, unreachable)
    if refusal is None:
        mapped = facts.users == "mapped"
        return Plan(level, facts.namespaces, "mapped" if mapped else "setuid", "mapped" if mapped else "")
    if wanted is not None:
        raise IsolationUnavailableError(f"PODIUM_ISOLATION={wanted}: {refusal}, or set PODIUM_ISOLATION=none")
    return Plan("none", facts.namespaces, "", "")


def _level(wanted: str | None, facts: HostFacts) -> Literal["process", "sandbox"]:
    """A sandbox where the host can give one, unless less is wanted."""
    lacks = "namespaces" if not facts.namespaces else "Landlock with seccomp" if not facts.fence else ""
    if wanted == "sandbox" and lacks:
        why = "; ".join(f"{name}: {said}" for name, said in facts.refusals.items()) or "switched off"
        raise IsolationUnavailableError(f"PODIUM_ISOLATION=sandbox: this host gives no {lacks} ({why})")
    return "process" if wanted == "process" or lacks else "sandbox"


def _refusal(facts: HostFacts, unreachable: str | None) -> str | None:
    """Why root can't give agents user ids of their own; None when it can."""
    if facts.users != "mapped" and not facts.setuid:
        return "this host lets root neither map nor change user ids; run as an ordinary user"
    if unreachable is not None and facts.namespaces != "root":
        return f"agents run under their own user ids, which can't enter {unreachable}; move it or open it (chmod o+x)"
    return None
