"""Replacing a running agent by its new code: deploy, stop, continue the same agent."""

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from podium.base.clock import Clock
from podium.cli.project import Project
from podium.cli.upload import deploy
from podium.client import PodiumConnectionError
from podium.wire.manifest import ManifestError
from podium.wire.refs import Version
from podium.wire.rest import InstanceCreate

if TYPE_CHECKING:
    from pathlib import Path

    from podium.client import PodiumClient

AGENT_PREFIX: Final = "dev-"
"""The agent that `podium dev` runs is called after its type, so that it continues from one time to the next."""


class Running(NamedTuple):
    """What runs now."""

    instance_id: str
    deployment_id: str


class BrokenProjectError(Exception):
    """The files as they are can't be run; the message says where and why."""


class Reloader:
    """Keeps one agent running with the newest code of a directory."""

    def __init__(self, podium: "PodiumClient", directory: "Path", clock: Clock) -> None:
        self._podium = podium
        self._directory = directory
        self._clock = clock
        self.running: Running | None = None
        self._told: list[str] = []

    async def upload(self) -> str:
        """Deploys the files as they are, under a version of its own.

        Raises:
            BrokenProjectError: they can't be run.
        """
        try:
            project = Project(self._directory)
            version = development_version(project.manifest.version, self._clock.now_ms())
            return (await deploy(self._podium, project, version)).deployment_id
        except SyntaxError as error:
            raise BrokenProjectError(f"{error.filename}:{error.lineno}: {error.msg}") from error
        except (ManifestError, OSError) as error:
            raise BrokenProjectError(str(error)) from error

    async def switch(self, deployment_id: str) -> Running:
        """Stops what runs and continues the agent with `deployment_id`; with what ran before when that fails.

        Raises:
            PodiumConnectionError: the new code does not start; `running` tells what does.
        """
        agent_id = AGENT_PREFIX + deployment_id.partition(":")[0]
        before = self.running
        await self._stop(agent_id)
        try:
            self.running = await self._create(agent_id, deployment_id)
        except PodiumConnectionError:
            self.running = await self._create(agent_id, before.deployment_id) if before is not None else None
            raise
        if before is not None:
            await self._forget(before.deployment_id)
        return self.running

    def untold(self, lines: Sequence[str]) -> list[str]:
        """Those of the last lines of the agent's log that were not among the ones this was given before."""
        fresh = behind(self._told, lines)
        self._told = list(lines)
        return fresh

    async def close(self) -> None:
        """Stops the agent; its data stay. Best effort: the platform may be gone already."""
        if self.running is None:
            return
        with contextlib.suppress(PodiumConnectionError):
            await self._podium.stop_instance(self.running.instance_id)
            await self._forget(self.running.deployment_id)

    async def _stop(self, agent_id: str) -> None:
        instance_id = self.running.instance_id if self.running is not None else None
        if instance_id is None:
            try:
                instance_id = (await self._podium.agents.get(agent_id)).instance_id
            except PodiumConnectionError as error:
                if error.status != 404:
                    raise
        if instance_id is not None:
            await self._podium.stop_instance(instance_id)

    async def _create(self, agent_id: str, deployment_id: str) -> Running:
        made = await self._podium.instances.create(InstanceCreate(deployment_id, agent_id=agent_id))
        return Running(made.instance_id, made.deployment_id)

    async def _forget(self, deployment_id: str) -> None:
        with contextlib.suppress(PodiumConnectionError):
            # An old development version in the registry costs a little room and nothing else.
            await self._podium.deployments.remove(deployment_id)


def behind(earlier: Sequence[str], later: Sequence[str]) -> list[str]:
    """What a log says behind `earlier`, where both are its last lines at their time."""
    overlap = next(
        (
            length
            for length in range(min(len(earlier), len(later)), 0, -1)
            if list(earlier[-length:]) == list(later[:length])
        ),
        0,
    )
    return list(later[overlap:])


def development_version(version: str, now_ms: int) -> str:
    """A version for the files as they are now: a pre-release, so that nobody gets it by the type alone."""
    return f"{'.'.join(map(str, Version(version).release))}-dev.{now_ms}"
