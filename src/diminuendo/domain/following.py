"""What the life of a session takes from the events of its agent.

The turn is read off the client events, so that machine, database and clients agree about it. Whether the instance is still there is read
off `state.status`, Podium's own word: `terminated` tells that a process ended, which an instance outlives when it falls asleep or
is started again after a crash.

The journal is the agent's, not the instance's: behind the cursor may lie the end of the instance before.
"""

from collections.abc import Iterable
from typing import Final

from diminuendo.domain import events, life
from diminuendo.domain.mapper import PodiumEventLike
from podium.wire.status import OVER, InstanceStatus

_PROCESS_ENDED: Final = frozenset({InstanceStatus.ASLEEP, InstanceStatus.INITIALIZING, InstanceStatus.DEPLOYING})
"""States an instance is in after a process of it ended and it goes on."""


def follow(
    event: PodiumEventLike, mapped: Iterable[events.ClientEvent], instance_id: str, now_ms: int
) -> list[life.Event]:
    """What `SessionLife.handle` is to be told of an event of Podium that was mapped to `mapped`, in order."""
    found = [told for made in mapped if (told := _of_turn(made, now_ms)) is not None]
    if event.message_type == "state.status":
        status = (event.content or {}).get("status")
        if not isinstance(status, str):
            return found
        instance_id = event.instance_id or instance_id
        if status in OVER:
            found.append(life.Lost(instance_id, f"the agent's instance is {status}"))
        elif status in _PROCESS_ENDED:
            found.append(life.StillThere(instance_id))
    return found


def shown(event: PodiumEventLike, mapped: Iterable[events.ClientEvent], instance_id: str) -> list[events.ClientEvent]:
    """What of `mapped` clients are told: all but the end of an instance that is not the session's any more."""
    if event.instance_id in (None, "", instance_id):
        return list(mapped)
    return [made for made in mapped if not isinstance(made, events.SessionStateChanged | events.SandboxRemoved)]


def _of_turn(made: events.ClientEvent, now_ms: int) -> life.Event | None:
    match made:
        case events.TurnStarted():
            return life.TurnBegan(made.turn_id or "")
        case events.TurnComplete() | events.TurnError():
            return life.TurnOver(now_ms)
        case events.QuestionRequested() | events.PermissionRequested():
            return life.Asked(made.request_id)
        case events.ApprovalResolved():
            return life.Resolved(made.request_id)
    return None
