"""The process host of this machine: templates by deployment, processes by order, nothing left behind."""

import asyncio
import contextlib
import logging
import os
import resource
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Final, NamedTuple

from podium.agent.process.mounts import closed_ancestor
from podium.agent.process.orders import Launch, Setup
from podium.base.tasks import TaskOwner
from podium.coordinator.adapters.processes import directories, fences, orphans
from podium.coordinator.adapters.processes.birth import Birth
from podium.coordinator.adapters.processes.cgroups import Cgroup, Cgroups, open_cgroups
from podium.coordinator.adapters.processes.environment import agent_environment, base_environment, limits_of
from podium.coordinator.adapters.processes.facts import HostFacts, package_roots, probe_isolation
from podium.coordinator.adapters.processes.hierarchies import survey
from podium.coordinator.adapters.processes.levels import STEPS, IsolationUnavailableError, Plan, choose
from podium.coordinator.adapters.processes.linked import Bounds, LinkedProcess
from podium.coordinator.adapters.processes.runner import make_runner
from podium.coordinator.adapters.processes.runtimes import (
    agent_command,
    homes,
    is_bun,
    process_limits,
    template_command,
    tree_limits,
)
from podium.coordinator.adapters.processes.sdk import make_sdk_directory
from podium.coordinator.adapters.processes.settings import (
    AGENT_UID_BASE,
    TEMPLATE_UID_BASE,
    TEMPLATE_UIDS,
    HostSettings,
)
from podium.coordinator.adapters.processes.slots import Slot
from podium.coordinator.adapters.processes.template import TemplateProcess, Unforkable
from podium.coordinator.adapters.processes.tree import Mark, user_namespace
from podium.coordinator.adapters.processes.trees import ProcessTree
from podium.coordinator.domain.ports import (
    AgentProcess,
    Isolation,
    LinkHandler,
    PreparedDeployment,
    ProcessSpec,
    ProcessStartError,
)

_log = logging.getLogger(__name__)

CLOSE_SECONDS: Final = 10.0
"""How long a template may take to end with everything it forked, before it is killed."""


class LocalProcessHost:
    """A `ProcessHost`. Construction probes the host (some tens of milliseconds, blocking).

    Raises:
        IsolationUnavailableError: at construction, when the level asked for can't be had.
    """

    def __init__(self, settings: HostSettings, facts: HostFacts | None = None) -> None:
        self._settings = settings
        settings.agents.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._sdk = make_sdk_directory(settings.data.resolve() / "processes", package_roots())
        self._facts = facts or probe_isolation(settings.without)
        blocked = [path for path in map(closed_ancestor, self._needed()) if path is not None]
        self._plan = choose(settings.isolation, self._facts, str(blocked[0]) if blocked else None)
        self._cgroups = self._open_cgroups()
        self._templates: dict[str, asyncio.Task[TemplateProcess | _TemplateFailure]] = {}
        self._unforkable: set[str] = set()
        self._runners: dict[Path, Path] = {}
        self._forks = asyncio.Semaphore(settings.starts_in_flight)
        self._tasks = TaskOwner("processes")
        self._template_count = 0
        self._living: set[LinkedProcess] = set()

    @property
    def isolation(self) -> Isolation:
        """The level in force."""
        return self._plan.level

    @property
    def plan(self) -> Plan:
        """What is done for every instance."""
        return self._plan

    def deployments_in_use(self) -> set[str]:
        """Ids of the deployments that have a template, and so may have processes."""
        return set(self._templates)

    async def open(self) -> None:
        """Ends orphans of an earlier coordinator, and allows this process the descriptors it will need."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        if self._cgroups is not None:
            await asyncio.to_thread(self._cgroups.kill_leftovers)
        seen, left = await asyncio.to_thread(orphans.end_orphans, self._settings.mark, self._settings.orphan_seconds)
        if seen:
            _log.info("orphans_ended", extra={"count": seen})
        if left:
            _log.error("orphans_survive", extra={"pids": left})

    async def warm(self, deployment: PreparedDeployment) -> None:
        """Starts the template of a deployment; a failure shows at `start`."""
        self._template(deployment)

    async def start(
        self, spec: ProcessSpec, handler: LinkHandler, opened: Awaitable[object] | None = None
    ) -> AgentProcess:
        """See the port.

        Raises:
            ProcessStartError: what it was started with refused, or it took too long.
        """
        try:
            template = await self._warm_template(spec.deployment, handler)
            async with Slot(self._forks) as slot:
                return await self._start(template, spec, handler, slot, opened)
        except TimeoutError:
            raise ProcessStartError(f"the process was not linked within {self._settings.start_seconds:g} s") from None
        except OSError as error:
            raise ProcessStartError(f"the host refused: {error.strerror or error}") from error

    async def cool(self, deployment_id: str) -> None:
        """Ends the template of a deployment; what it forked ends with it."""
        self._unforkable.discard(deployment_id)
        task = self._templates.pop(deployment_id, None)
        if task is not None:
            await self._end_template(task)

    async def close(self) -> None:
        """Ends everything this host started."""
        tasks = list(self._templates.values())
        self._templates.clear()
        await asyncio.gather(*(process.kill() for process in list(self._living)))
        await asyncio.gather(*map(self._end_template, tasks))
        await self._tasks.close()
        if self._cgroups is not None:
            self._cgroups.close()

    # ── templates ───────────────────────────────────────────────────────────────────────────────────────────

    def _template(self, deployment: PreparedDeployment) -> "asyncio.Task[TemplateProcess | _TemplateFailure]":
        """The template, started if need be; many callers share one start."""
        name = deployment.deployment.deployment_id
        task = self._templates.get(name)
        if task is None or _is_spent(task):
            task = self._tasks.start(self._make_template(deployment), f"template of {name}")
            self._templates[name] = task
        return task

    async def _warm_template(self, deployment: PreparedDeployment, handler: LinkHandler) -> TemplateProcess:
        made = await asyncio.shield(self._template(deployment))
        if isinstance(made, TemplateProcess):
            return made
        if made.output:
            handler.output_received("stderr", made.output)
        raise ProcessStartError(made.reason)

    async def _make_template(self, deployment: PreparedDeployment) -> "TemplateProcess | _TemplateFailure":
        name = deployment.deployment.deployment_id
        if is_bun(deployment) and deployment.interpreter not in self._runners:
            self._runners[deployment.interpreter] = await asyncio.to_thread(
                make_runner, deployment.interpreter, self._sdk.parent
            )
        while True:
            process = TemplateProcess(
                template_command(deployment, self._sdk),
                self._launch(deployment),
                base_environment(deployment, self._settings.mark),
                name,
            )
            try:
                async with asyncio.timeout(self._settings.warm_seconds):
                    await process.warm()
                return process
            except Unforkable as error:
                await process.close(CLOSE_SECONDS)
                _log.info("preload_refused", extra={"deployment_id": name, "reason": str(error)})
                self._unforkable.add(name)
            except ProcessStartError as error:
                await process.close(CLOSE_SECONDS)
                return _TemplateFailure(error.reason, process.output)
            except TimeoutError:
                await process.close(CLOSE_SECONDS)
                reason = f"importing its entry took more than {self._settings.warm_seconds:g} s"
                return _TemplateFailure(reason, process.output)
            except BaseException:  # cancelled: the process must not stay
                await process.close(CLOSE_SECONDS)
                raise

    async def _end_template(self, task: "asyncio.Task[TemplateProcess | _TemplateFailure]") -> None:
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=CLOSE_SECONDS)
        if not _is_spent(task) and task.done() and isinstance(made := task.result(), TemplateProcess):
            await made.close(CLOSE_SECONDS)

    def _preloads(self, deployment: PreparedDeployment) -> bool:
        return (
            not is_bun(deployment)
            and deployment.manifest.preload
            and deployment.deployment.deployment_id not in self._unforkable
        )

    def _runner(self, deployment: PreparedDeployment) -> Path | None:
        return self._runners[deployment.interpreter] if is_bun(deployment) else None

    def _launch(self, deployment: PreparedDeployment) -> Launch:
        plan = self._plan
        preloads = self._preloads(deployment)
        template_uid = None
        if plan.identity == "mapped":
            template_uid = TEMPLATE_UID_BASE + self._template_count % TEMPLATE_UIDS
            self._template_count += 1
        return Launch(
            parent=os.getpid(),
            namespaces=plan.namespaces,
            template_uid=template_uid,
            closed=plan.closed,
            users=plan.users,
            warm=preloads,
            preload=deployment.manifest.entry if preloads and plan.identity != "setuid" else None,
            directory=str(deployment.directory.resolve()),
            visible=self._visible(deployment) if plan.identity or plan.sandboxed else [],
            sandboxed=plan.sandboxed,
        )

    def _visible(self, deployment: PreparedDeployment) -> list[str]:
        """What an agent of a deployment must be able to reach."""
        places = (*self._needed(), *homes(deployment, self._runner(deployment)), *self._settings.readable)
        return [str(path) for path in places]

    def _needed(self) -> list[Path]:
        """What any agent must be able to reach."""
        own = (self._settings.agents, *self._settings.shown)
        prefixes = {Path(sys.base_prefix).resolve(), self._sdk, *package_roots(), *(path.resolve() for path in own)}
        return sorted(prefixes)

    # ── processes ───────────────────────────────────────────────────────────────────────────────────────────

    async def _start(
        self,
        template: TemplateProcess,
        spec: ProcessSpec,
        handler: LinkHandler,
        slot: Slot,
        opened: Awaitable[object] | None,
    ) -> AgentProcess:
        uid = AGENT_UID_BASE + spec.uid_slot if self._plan.identity else None
        directories.prepare(spec.agent_directory, spec.workspace, uid)
        limits = tree_limits(spec.deployment, spec.limits)
        cgroup = self._cgroups.make(spec.instance_id, limits) if self._cgroups is not None else None
        birth = Birth(template, spec.agent_directory, uid, cgroup, handler.output_received)
        try:
            with birth:
                async with asyncio.timeout(self._settings.start_seconds):
                    await birth.begin(self._setup(spec, uid), mapped=self._plan.identity == "mapped")
                if opened is not None:
                    await slot.until(opened)
                if uid is not None and spec.workspace.lstat().st_uid != uid:
                    await asyncio.to_thread(directories.give_away, spec.workspace, uid)
                async with asyncio.timeout(self._settings.start_seconds):
                    born = await birth.link()
            mark = self._mark(spec, birth, uid)
            process = LinkedProcess(born, ProcessTree(born.pid, template, mark, cgroup), handler, self._bounds(spec))
        except BaseException:  # cancelled too: what was forked must not stay
            await self._undo(birth, template, cgroup)
            raise
        birth.heir = process
        self._living.add(process)
        process.gone.add_done_callback(lambda _: self._living.discard(process))
        await process.attach()
        if birth.status is not None:
            process.ended(birth.status)
        return process

    async def _undo(self, birth: Birth, template: TemplateProcess, cgroup: Cgroup | None) -> None:
        """A start that did not succeed leaves no process."""
        if birth.pid is not None and birth.status is None:
            tree = ProcessTree(birth.pid, template, Mark(None, None, birth.pid, b""), cgroup)
            tree.kill(with_first=True)
            tree.release()
        elif cgroup is not None:
            cgroup.remove()

    def _setup(self, spec: ProcessSpec, uid: int | None) -> Setup:
        deployment = spec.deployment
        directory, entry = str(deployment.directory.resolve()), deployment.manifest.entry
        waits = is_bun(deployment) and fences.can_be_drawn_early(self._plan)
        command = None
        if not self._preloads(deployment):
            command = agent_command(deployment, self._sdk, self._runner(deployment), waits=waits)
        limits = process_limits(deployment, spec.limits)
        return Setup(
            environment=agent_environment(spec, self._settings.mark),
            workspace=str(directories.place_of(spec.workspace)),
            uid=uid,
            closed=self._plan.closed,
            limits=limits_of(limits, closed=self._plan.closed, own_user=uid is not None),
            command=command,
            command_waits=waits,
            directory=directory,
            entry=entry,
            fence=fences.around(spec, self._plan, self._visible(deployment)) if self._plan.sandboxed else None,
        )

    def _mark(self, spec: ProcessSpec, birth: Birth, uid: int | None) -> Mark:
        namespace = user_namespace(birth.pid) if birth.pid is not None and self._plan.users else None
        return Mark(uid, namespace, birth.pid or 0, f"PODIUM_INSTANCE_ID={spec.instance_id}".encode())

    def _bounds(self, spec: ProcessSpec) -> Bounds:
        settings = self._settings
        socket_path = spec.agent_directory / directories.RUN_NAME / directories.SOCKET_NAME
        return Bounds(settings.kill_seconds, settings.drain_seconds, self._tasks, socket_path)

    def _open_cgroups(self) -> Cgroups | None:
        """The groups for instances, where they are wanted."""
        settings = self._settings
        if "cgroup" in settings.without or settings.cgroups == "never":
            return None
        found = survey()
        if settings.cgroups == "auto" and not (self._plan.closed and found.controllers):
            return None
        return open_cgroups(settings.mark, found=found)


def probe() -> list[Isolation]:
    """The levels this host can give. Blocking, some tens of milliseconds."""
    facts = probe_isolation()
    closed = [path for path in map(closed_ancestor, [Path(sys.base_prefix).resolve(), *package_roots()]) if path]
    levels: list[Isolation] = []
    for level in STEPS:
        with contextlib.suppress(IsolationUnavailableError):
            levels.append(choose(level, facts, str(closed[0]) if closed else None).level)
    return levels


class _TemplateFailure(NamedTuple):
    """A template could not load; `output` is what it printed."""

    reason: str
    output: bytes


def _is_spent(task: asyncio.Task[TemplateProcess | _TemplateFailure]) -> bool:
    """Whether the next start needs a new template."""
    if not task.done():
        return False
    if task.cancelled() or task.exception() is not None:
        return True
    made = task.result()
    return isinstance(made, _TemplateFailure) or made.is_gone
