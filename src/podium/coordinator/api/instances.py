"""Instances and agents over REST: create, look, stop, erase; deployments to prepare."""

from podium.base.http import Answer, Call
from podium.coordinator.api.lookup import Lookup
from podium.coordinator.supervisor.instance import Instance
from podium.coordinator.supervisor.showing import certain, settled, visible
from podium.wire import refs, rest
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.rest import Deployment, DeployRequest, InstanceInfo, Resources, RunningTurn, WorkspaceInfo


class Instances:
    """Handlers for what comes and goes."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._supervisor = lookup.supervisor

    async def create_instance(self, call: Call) -> Answer:
        """Makes an instance and answers when it is ready."""
        instance, new = await self._supervisor.births.create(call.body)
        await settled(instance)
        return Answer(201 if new else 200, self._instance(instance))

    async def get_instance(self, call: Call) -> InstanceInfo:
        """An instance in full."""
        instance = self._lookup.alive(call)
        await certain(instance)
        return self._info(instance)

    async def stop_instance(self, call: Call) -> None:
        """Ends an instance gracefully; one that is over, failed too, is not there any more."""
        try:
            instance = self._lookup.alive(call)
        except PodiumError as error:
            if error.code is ErrorCode.INSTANCE_FAILED:
                raise PodiumError(ErrorCode.INSTANCE_NOT_FOUND, "the instance is over already") from error
            raise
        await self._supervisor.stop(instance)

    async def remove_agent(self, call: Call) -> None:
        """Erases an agent."""
        identity = call.identity
        await self._supervisor.remove_agent(call.path["agent_id"], identity.tenant_id)

    async def adopt_agent(self, call: Call) -> rest.Instance:
        """Goes on here with an agent whose host is gone, or gave it away."""
        instance = await self._supervisor.adoptions.adopt(call.path["agent_id"], call.body.instance_id, call.body.seen)
        return self._instance(instance)

    async def bring_agent(self, call: Call) -> None:
        """Brings the data of an agent here that is not alive and whose host is gone, so that they can be read."""
        await self._supervisor.adoptions.fetch(call.path["agent_id"])

    async def prepare_deployment(self, call: Call) -> Answer:
        """Prepares a deployment in the background."""
        self._supervisor.tasks.start(self._prepare(_deployment(call.body)), "prepare a deployment")
        return Answer(202)

    async def _prepare(self, deployment: Deployment) -> None:
        try:
            await self._supervisor.make_ready(deployment)
        except PodiumError as error:
            self._supervisor.report_unprepared(deployment.deployment_id, error)

    def _instance(self, instance: Instance) -> rest.Instance:
        facts = instance.facts
        return rest.Instance(
            instance_id=facts.instance_id,
            agent_id=facts.agent_id,
            deployment_id=facts.deployment.deployment_id,
            status=instance.status,
            coordinator_id=self._supervisor.parts.coordinator_id,
            created_at=facts.created_at,
        )

    def _info(self, instance: Instance) -> InstanceInfo:
        supervisor, facts = self._supervisor, instance.facts
        agent_id = facts.agent_id
        with instance.reading() as store:
            heads = visible(instance, store)
            pending, queued = len(store.open_requests()), sum(row.state == "queued" for row in store.inbox_open())
        process, running = instance.life.process, instance.queue.running
        turn = None
        if running is not None and running.attempt:
            turn = RunningTurn(running.entry.turn_id, running.entry.message_id, running.attempt, running.started_ms)
        workspaces = supervisor.parts.workspaces
        return InstanceInfo(
            instance_id=facts.instance_id,
            agent_id=agent_id,
            deployment_id=facts.deployment.deployment_id,
            status=instance.status,
            coordinator_id=supervisor.parts.coordinator_id,
            created_at=facts.created_at,
            config=instance.config(),
            last_seq=heads.seq,
            head_iteration=workspaces.head_iteration(agent_id),
            turn=turn,
            queue_depth=queued,
            resources=process.resources() if process is not None else Resources(),
            restarts=instance.life.restarts,
            workspace=WorkspaceInfo(instance.workspace, workspaces.backend),
            isolation=supervisor.parts.processes.isolation,
            state_version=heads.version,
            pending_requests=pending,
            reason=facts.reason,
        )


def _deployment(wanted: DeployRequest) -> Deployment:
    """What is known of a deployment from the request to prepare it; size and time are not told and not needed."""
    name = refs.deployment_id(wanted.agent_type, wanted.version, wanted.checksum.removeprefix("sha256:"))
    return Deployment(name, wanted.agent_type, wanted.version, wanted.checksum, 0, "", 0)
