"""Which agent and which moment of it a person means."""

from typing import TYPE_CHECKING

from podium.cli.naming import instance_named
from podium.wire.ids import is_agent_id, is_made_id
from podium.wire.moments import MomentRef

if TYPE_CHECKING:
    from podium.client import PodiumClient


async def agent_named(podium: "PodiumClient", name: str) -> str:
    """The agent behind a name: an agent's id, an instance, or the newest living instance of a type.

    Raises:
        PodiumError: `instance_not_found`.
    """
    from podium.client import PodiumConnectionError

    if is_agent_id(name) and not is_made_id("inst", name):
        try:
            return (await podium.agents.get(name)).agent_id
        except PodiumConnectionError as error:
            if error.status != 404:
                raise
    return (await podium.instances.get(await instance_named(podium, name))).agent_id


def moment_named(text: str) -> MomentRef:
    """A moment as the API takes it: the number of an event, or the id of a turn."""
    return int(text) if text.isascii() and text.isdigit() else text
