"""`PodiumClient`: everything the public API offers, typed, with its resilience inside."""

import os
from typing import NamedTuple, Self

from podium.client.administration import Config, Coordinators, Keys, Secrets
from podium.client.budgets import Budgets
from podium.client.call import PROBE_SECONDS, Call, api_path
from podium.client.connection import PodiumConnection
from podium.client.deployments import Deployments
from podium.client.errors import PodiumConnectionError
from podium.client.files import FileContent, FileEntry, Files, IterationMeta
from podium.client.instances import Agents, Instances
from podium.client.moments import Moments
from podium.client.settings import ClientSettings, read_settings
from podium.client.socket import Dialer
from podium.client.timing import Timing, system_timing
from podium.client.transport import Transport
from podium.wire.rest import InstanceCreate

DEFAULT_VERSION = "1.0.0"
"""Version in the reference `{agent_type}:1.0.0@local` used when no deployment is named."""


class CreatedInstance(NamedTuple):
    """What `create_instance` gives."""

    instance_id: str
    deployment_id: str


class PodiumClient:
    """A client of one Podium. Used inside one event loop; `close` it, or use it as an async context manager.

    Settings come from `PODIUM_URL` and `PODIUM_API_KEY` unless given. Every failure is a `PodiumConnectionError`.
    """

    def __init__(self, settings: ClientSettings | None = None, timing: Timing | None = None) -> None:
        self._transport = Transport(settings or read_settings(os.environ), timing or system_timing())
        self.deployments = Deployments(self._transport)
        self.instances = Instances(self._transport)
        self.agents = Agents(self._transport)
        self.moments = Moments(self._transport)
        self.budgets = Budgets(self._transport)
        self.files = Files(self._transport)
        self.agent_files = Files(self._transport, "agent")
        self.keys = Keys(self._transport)
        self.secrets = Secrets(self._transport)
        self.config = Config(self._transport)
        self.coordinators = Coordinators(self._transport)

    @property
    def settings(self) -> ClientSettings:
        """Address and key in use."""
        return self._transport.settings

    def act_for(self, tenant: str | None) -> None:
        """With an admin key: later requests are made for this tenant (None: for nobody in particular)."""
        self._transport.settings = self._transport.settings._replace(tenant=tenant)

    async def create_instance(
        self,
        agent_type: str,
        agent_id: str | None = None,
        secrets: dict[str, str] | None = None,
        environment: dict[str, str] | None = None,
        *,
        deployment_id: str | None = None,
    ) -> CreatedInstance:
        """Creates an instance of `deployment_id`, by default of `{agent_type}:1.0.0@local`; ready when it returns.

        Guarded by a circuit breaker (5 failures in a row, 30 s) and retried with the same `Idempotency-Key`.

        Raises:
            PodiumConnectionError: it failed, or the circuit is open.
        """
        wanted = InstanceCreate(
            deployment_id=deployment_id or f"{agent_type}:{DEFAULT_VERSION}@local",
            agent_id=agent_id,
            secrets=secrets,
            environment=environment,
        )
        made = await self.instances.create(wanted)
        return CreatedInstance(made.instance_id, made.deployment_id)

    async def connect(self, instance_id: str, after: int | None = None) -> PodiumConnection:
        """A stream of the instance's events after number `after` (0: all; None: from now on)."""
        connection = PodiumConnection(Dialer(self._transport), instance_id, after, self._transport.timing)
        return await connection.open()

    async def is_alive(self, instance_id: str) -> bool:
        """Whether the instance is alive or asleep. Asks once, waits at most 5 s, never raises."""
        return await self._answers(Call("is_alive", "GET", api_path("instances", instance_id), seconds=PROBE_SECONDS))

    async def is_reachable(self) -> bool:
        """Whether Podium answers and is ready. Asks once, waits at most 5 s, never raises."""
        return await self._answers(Call("is_reachable", "GET", "/ready", seconds=PROBE_SECONDS))

    async def stop_instance(self, instance_id: str) -> None:
        """Stops the instance; one that is gone already is fine."""
        await self.instances.stop(instance_id)

    async def list_files(self, instance_id: str, path: str | None = None, depth: int | None = None) -> list[FileEntry]:
        """Files of the workspace."""
        return await self.files.list(instance_id, path, depth)

    async def read_file(self, instance_id: str, path: str) -> FileContent:
        """A file of the workspace."""
        return await self.files.read(instance_id, path)

    async def file_history(self, instance_id: str, path: str) -> list[IterationMeta]:
        """The recorded changes of a file, newest first."""
        return await self.files.history(instance_id, path)

    async def file_at_iteration(self, instance_id: str, path: str, iteration: int) -> FileContent:
        """A file as it was at a moment of the workspace."""
        return await self.files.at(instance_id, path, iteration)

    async def _answers(self, call: Call) -> bool:
        try:
            await self._transport.send_once(call)
        except PodiumConnectionError:
            return False
        return True

    async def close(self) -> None:
        """Closes the client's connections; streams are closed by their owners."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
