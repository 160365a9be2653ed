"""How this host runs processes, read once."""

import hashlib
from pathlib import Path
from typing import Final, Literal

import msgspec

from podium.coordinator.adapters.processes.facts import Feature

AGENT_UID_BASE: Final = 200_000
"""First user (and group) id of agents run by root; an agent has this plus its `uid_slot`. Above what distributions
hand out to people and to containers' first ranges on common hosts."""

TEMPLATE_UID_BASE: Final = 190_000
"""First user (and group) id of templates run by root; each has its own, so that none can touch another's agents."""

TEMPLATE_UIDS: Final = 10_000
"""How many different ids templates take turns in."""


class HostSettings(msgspec.Struct, frozen=True):
    """Settings of a process host.

    `data` is the data directory. `isolation` is the level asked for, None: the best there is. `without` switches
    features of the host off. `cgroups`: `auto` uses a cgroup per instance where it brings limits; `always`
    and `never` force it. `shown`: directories every agent may read beside its own and its deployment's; `readable`: the
    operator's, beside the system's, at level `sandbox`. Times are seconds.
    """

    data: Path
    isolation: str | None = None
    without: frozenset[Feature] = frozenset()
    cgroups: Literal["auto", "always", "never"] = "auto"
    starts_in_flight: int = 16
    warm_seconds: float = 60.0
    start_seconds: float = 30.0
    kill_seconds: float = 5.0
    drain_seconds: float = 2.0
    orphan_seconds: float = 10.0
    shown: tuple[Path, ...] = ()
    readable: tuple[Path, ...] = ()

    @property
    def agents(self) -> Path:
        """Where agents have their directories."""
        return self.data / "agents"

    @property
    def mark(self) -> str:
        """What every process of this data directory carries in its environment."""
        return hashlib.sha256(str(self.data.resolve()).encode()).hexdigest()[:16]
