"""The parts `session/update` is made of."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

Update = dict[str, Any]
"""One `update` of a `session/update` notification."""

Chunk = Literal["agent_message_chunk", "agent_thought_chunk", "user_message_chunk"]


def chunk(kind: Chunk, text: str, message_id: str) -> Update:
    """A piece of a message. Pieces with the same id belong together."""
    return block_chunk(kind, {"type": "text", "text": text}, message_id)


def block_chunk(kind: Chunk, block: Mapping[str, Any], message_id: str) -> Update:
    """A block of a message."""
    return {"sessionUpdate": kind, "content": dict(block), "messageId": message_id}


def tool_call(call_id: str, title: str, kind: str, **more: Any) -> Update:
    """A tool call that begins."""
    return {
        "sessionUpdate": "tool_call",
        "toolCallId": call_id,
        "title": title,
        "kind": kind,
        "status": "pending",
        **_given(more),
    }


def tool_call_update(call_id: str, **more: Any) -> Update:
    """What is new of a tool call; None is nothing new."""
    return {"sessionUpdate": "tool_call_update", "toolCallId": call_id, **_given(more)}


def text_content(text: str) -> dict[str, Any]:
    """Text as content of a tool call."""
    return {"type": "content", "content": {"type": "text", "text": text}}


def plan(entries: Iterable[Mapping[str, Any]]) -> Update:
    """The whole plan."""
    return {"sessionUpdate": "plan", "entries": [dict(entry) for entry in entries]}


def usage(used: int, size: int, cost_micro_dollars: int) -> Update:
    """How full the context is, and what the session has cost so far."""
    update: Update = {"sessionUpdate": "usage_update", "used": used, "size": size}
    if cost_micro_dollars:
        update["cost"] = {"amount": cost_micro_dollars / 1_000_000, "currency": "USD"}
    return update


def commands(available: Sequence[Mapping[str, Any]]) -> Update:
    """The commands a person may begin a prompt with."""
    return {"sessionUpdate": "available_commands_update", "availableCommands": [dict(item) for item in available]}


def title(text: str) -> Update:
    """The session has a title."""
    return {"sessionUpdate": "session_info_update", "title": text}


def coalesced(given: Iterable[Update]) -> list[Update]:
    """The same with what belongs together joined: a conversation that is replayed needs no streaming."""
    found: list[Update] = []
    for update in given:
        joined = _joined(found[-1], update) if found else None
        if joined is None:
            found.append(update)
        else:
            found[-1] = joined
    return found


def _joined(before: Update, update: Update) -> Update | None:
    """Two updates that follow each other as one: pieces of a message, or what is told of a tool call."""
    if "_meta" in before or "_meta" in update:
        return None
    if update["sessionUpdate"] == "tool_call_update":
        same = before.get("toolCallId") == update["toolCallId"]
        return {**before, **update, "sessionUpdate": before["sessionUpdate"]} if same else None
    if before.get("messageId", "") != update.get("messageId"):
        return None
    if before["content"]["type"] != "text" or update["content"]["type"] != "text":
        return None
    return chunk(update["sessionUpdate"], before["content"]["text"] + update["content"]["text"], update["messageId"])


def _given(more: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in more.items() if value is not None}
