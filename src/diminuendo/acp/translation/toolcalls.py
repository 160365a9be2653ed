"""The tool calls of a turn that are not over yet."""

from typing import Any

import msgspec

from diminuendo.acp.translation import tools, updates
from diminuendo.acp.translation.paths import Paths
from diminuendo.acp.translation.updates import Update
from diminuendo.domain.events import PermissionRequested, ToolCall


class OpenCall(msgspec.Struct):
    """A call that runs. `changes` are the diffs its arguments tell of, `outputs` what commands within it say, by terminal."""

    kind: str
    arguments: Any = None
    changes: list[dict[str, Any]] = []
    outputs: dict[str, dict[str, Any]] = {}

    def content(self, result: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
        """All that is shown of it. Diffs of a result take the place of those of the arguments."""
        told = result or []
        changes = [] if any(part["type"] == "diff" for part in told) else self.changes
        return [*changes, *self.outputs.values(), *told]


class ToolCalls:
    """Those that are open, by id, in the order in which they began."""

    def __init__(self) -> None:
        self._open: dict[str, OpenCall] = {}

    @property
    def only(self) -> tuple[str, OpenCall] | None:
        """The one that runs, when there is exactly one."""
        return next(iter(self._open.items())) if len(self._open) == 1 else None

    def find(self, call_id: str) -> OpenCall | None:
        """An open call."""
        return self._open.get(call_id)

    def begin(self, call_id: str, tool_name: str, content: dict[str, Any]) -> list[Update]:
        """A call begins; nothing is told of one that is open already."""
        if call_id in self._open:
            return []
        title, name = content.get("title"), tool_name or "tool"
        call = self._open[call_id] = OpenCall(tools.kind_of(name, content.get("kind")))
        return [updates.tool_call(call_id, title if isinstance(title, str) and title else name, call.kind, name=name)]

    def arguments(self, mapped: ToolCall, places: Any, paths: Paths) -> Update:
        """A call has its arguments, and runs."""
        call = self._open[mapped.tool_call_id]
        call.arguments = mapped.args
        call.changes = tools.diffs(call.kind, mapped.args, paths)
        return updates.tool_call_update(
            mapped.tool_call_id,
            status="in_progress",
            rawInput=mapped.args,
            locations=tools.locations(places, mapped.args, paths),
            content=call.content() or None,
        )

    def end(self, call_id: str, result: Any, paths: Paths) -> Update:
        """A call succeeded."""
        call = self._open.pop(call_id)
        content = call.content(tools.shown_result(call.kind, result, paths))
        return updates.tool_call_update(call_id, status="completed", content=content or None, rawOutput=result)

    def fail(self, call_id: str, message: str) -> Update:
        """A call failed."""
        call = self._open.pop(call_id)
        content = call.content([updates.text_content(tools.clipped(message))])
        return updates.tool_call_update(call_id, status="failed", content=content)

    def close(self, call_id: str) -> None:
        """A call is over; whoever closes it tells so."""
        self._open.pop(call_id, None)

    def fail_all(self, message: str) -> list[Update]:
        """No call is open any more."""
        return [self.fail(call_id, message) for call_id in list(self._open)]

    def switched(self, call_id: str) -> dict[str, Any] | None:
        """The options a call of kind `switch_mode` changes by ending well."""
        call = self._open.get(call_id)
        if call is None or call.kind != "switch_mode" or not isinstance(call.arguments, dict):
            return None
        return call.arguments

    def for_permission(self, asked: PermissionRequested, paths: Paths) -> dict[str, Any]:
        """The tool call a permission is for, as `session/request_permission` tells it."""
        kind = tools.kind_of(asked.tool_name, None)
        if asked.tool_call_id is not None and (call := self._open.get(asked.tool_call_id)) is not None:
            kind = call.kind
        told = {
            "toolCallId": asked.tool_call_id or asked.request_id,
            "title": asked.tool_name or "act",
            "kind": kind,
            "status": "pending",
            "rawInput": asked.args,
            "locations": tools.locations(None, asked.args, paths),
            "content": tools.diffs(kind, asked.args, paths) or None,
        }
        return {name: value for name, value in told.items() if value is not None}
