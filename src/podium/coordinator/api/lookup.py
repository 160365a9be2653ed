"""From a call to the instance it is about, if the caller may know of it."""

from podium.base.http import Call
from podium.coordinator.supervisor.instance import Instance
from podium.coordinator.supervisor.supervisor import Supervisor
from podium.wire.errors import ErrorCode, PodiumError


class Lookup:
    """Finds instances for callers; what belongs to another tenant is not there."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor

    def alive(self, call: Call) -> Instance:
        """The instance in the path, which is not over.

        Raises:
            PodiumError: `instance_not_found`, `instance_failed`.
        """
        self.known(call)
        return self.supervisor.alive(call.path["instance_id"])

    def known(self, call: Call) -> Instance:
        """The instance in the path, over or not.

        Raises:
            PodiumError: `instance_not_found`.
        """
        instance = self.supervisor.known(call.path["instance_id"])
        if not call.identity.sees(instance.facts.tenant_id):
            raise PodiumError(ErrorCode.INSTANCE_NOT_FOUND, "there is no such instance on this host")
        return instance
