"""Processes of this machine: a `ProcessHost` over templates, forks and what the kernel offers to keep them apart."""

from podium.coordinator.adapters.processes.facts import HostFacts, probe_isolation
from podium.coordinator.adapters.processes.host import LocalProcessHost, probe
from podium.coordinator.adapters.processes.levels import IsolationUnavailableError
from podium.coordinator.adapters.processes.settings import HostSettings

__all__ = ["HostFacts", "HostSettings", "IsolationUnavailableError", "LocalProcessHost", "probe", "probe_isolation"]
