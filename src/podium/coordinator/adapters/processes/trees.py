"""The tree of one instance as a thing that can be listed, killed and measured: by its cgroup where it has one, else through
`/proc`."""

import msgspec

from podium.coordinator.adapters.processes import tree
from podium.coordinator.adapters.processes.cgroups import Cgroup
from podium.coordinator.adapters.processes.template import TemplateProcess
from podium.wire.events import OutOfMemory
from podium.wire.rest import Resources


class ProcessTree:
    """Everything that came of the first process `main`, which the template forked."""

    def __init__(self, main: int, template: TemplateProcess, mark: tree.Mark, cgroup: Cgroup | None) -> None:
        self._main = main
        self._template = template
        self._mark = mark
        self._cgroup = cgroup
        template.first_pids.add(main)

    def members(self, *, with_first: bool) -> list[int]:
        """Living processes; `with_first`: the first one may still be there."""
        if self._cgroup is not None:
            return [pid for pid in self._cgroup.members() if tree.is_alive(pid)]
        if self._template.is_gone:
            return []
        adopters = [self._template.launcher_pid, *([self._template.pid] if self._template.pid else [])]
        known = self._template.first_pids | set(adopters)
        return tree.members(self._main if with_first else None, adopters, known, self._mark)

    def kill(self, *, with_first: bool) -> bool:
        """One round of SIGKILL; whether there was anybody."""
        found = self.members(with_first=with_first)
        if found and self._cgroup is not None:
            self._cgroup.kill()
        tree.kill_all(found)
        return bool(found)

    async def fell(self, seconds: float) -> None:
        """The last resort: ends the template, and so everything that came of it."""
        await self._template.close(seconds)

    def usage(self) -> Resources:
        """What the tree uses now. Its processor time is exact with a cgroup; else that of who has ended without a parent is missing."""
        used = tree.used_by(self.members(with_first=True))
        cpu_seconds = self._cgroup.cpu_seconds() if self._cgroup is not None else None
        return used if cpu_seconds is None else msgspec.structs.replace(used, cpu_seconds=round(cpu_seconds, 3))

    def out_of_memory(self) -> OutOfMemory | None:
        """Whether something of the tree was killed for the tree's limit of memory; known only with a cgroup, until `release`."""
        return self._cgroup.out_of_memory() if self._cgroup is not None else None

    def release(self) -> None:
        """The tree is gone."""
        self._template.first_pids.discard(self._main)
        if self._cgroup is not None:
            self._cgroup.remove()
