"""What an agent asks of its own workspace: to name a moment, to see versions, to take something back."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from chronicle.model.errors import ChronicleError
from chronicle.model.iterations import Iteration
from podium.coordinator.domain.ports import WorkspaceLibrary, Workspaces
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.limits import PAGE_DEFAULT, PAGE_MAX

LOOK_SECONDS: Final = 30.0
"""How long looking something up for an agent may take; usually a millisecond."""

LABEL_MAX_CHARS: Final = 200
"""Longest label of a checkpoint."""

T = TypeVar("T")


async def answer(
    workspaces: Workspaces, agent_id: str, method: str, params: dict[str, Any], turn_id: str | None
) -> Any:
    """The answer to `checkpoint {label}`, `history {path, limit}` or `restore {iteration | label, path}`.

    Raises:
        PodiumError: the detail is for the author.
    """
    match method:
        case "checkpoint":
            label = _text(params, "label")
            iteration = await workspaces.checkpoint(agent_id, label or None, turn_id)
            return {"iteration": iteration, "label": label}
        case "history":
            return await _history(workspaces, agent_id, _text(params, "path"), _limit(params))
        case _:
            wanted = await _moment(workspaces, agent_id, params)
            path = _text(params, "path")
            return {"iteration": await workspaces.restore(agent_id, wanted, path or None, turn_id)}


async def _history(workspaces: Workspaces, agent_id: str, path: str, limit: int) -> list[dict[str, Any]]:
    await workspaces.barrier(agent_id)  # what the agent has just written is a version too

    def read(library: WorkspaceLibrary) -> list[Iteration]:
        return library.history(path, limit=limit) if path else library.log(limit=limit, newest_first=True)

    return [_shown(found) for found in await _work(workspaces, agent_id, read)]


async def _moment(workspaces: Workspaces, agent_id: str, params: dict[str, Any]) -> int:
    iteration, label = params.get("iteration"), _text(params, "label")
    if isinstance(iteration, int) and not isinstance(iteration, bool) and iteration >= 0 and not label:
        return iteration
    if iteration is not None or not label:
        raise _refused("restore takes the number of an iteration, or the label of a checkpoint")

    def find(library: WorkspaceLibrary) -> int:
        named = [found for found in library.checkpoints(limit=PAGE_MAX) if label in (found.label, found.turn_id)]
        return named[0].iteration if named else -1

    found = await _work(workspaces, agent_id, find)
    if found < 0:
        raise _refused(f"there is no checkpoint {label!r}")
    return found


async def _work(workspaces: Workspaces, agent_id: str, what: Callable[[WorkspaceLibrary], T]) -> T:
    try:
        return await workspaces.work(agent_id, what, seconds=LOOK_SECONDS)
    except ChronicleError as error:
        raise _refused(str(error)) from error


def _text(params: dict[str, Any], name: str) -> str:
    value = params.get(name) or ""
    if not isinstance(value, str) or (name == "label" and len(value) > LABEL_MAX_CHARS):
        raise _refused(
            f"{name} must be a text" + (f" of at most {LABEL_MAX_CHARS} characters" if name == "label" else "")
        )
    return value


def _limit(params: dict[str, Any]) -> int:
    value = params.get("limit")
    wanted = value if isinstance(value, int) and not isinstance(value, bool) else PAGE_DEFAULT
    return min(max(wanted, 1), PAGE_MAX)


def _shown(found: Iteration) -> dict[str, Any]:
    """An iteration as JSON; bytes of a path that are no UTF-8 are escaped."""
    fields: dict[str, Any] = msgspec.to_builtins(found, builtin_types=(bytes,))
    return {
        name: value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
        for name, value in fields.items()
    }


def _refused(why: str) -> PodiumError:
    return PodiumError(ErrorCode.INVALID_REQUEST, why)
