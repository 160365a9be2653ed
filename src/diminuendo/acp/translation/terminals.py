"""Commands the agent runs. Within the one tool call that is open, their output is its content; else each is a tool call itself.

A client that says so (`_meta.terminal_output`, as Zed does) shows a live terminal and gets the output piece by piece; any other
gets the end of the output as text.
"""

from typing import Any, Final

import msgspec

from diminuendo.acp.translation import updates
from diminuendo.acp.translation.paths import Paths
from diminuendo.acp.translation.toolcalls import ToolCalls
from diminuendo.acp.translation.updates import Update
from diminuendo.domain.events import TerminalComplete, TerminalStream

TAIL_CHARS: Final = 8 * 1024
"""How much of the output is shown as text: it is sent anew with each piece, so that a long output costs no more than a short one."""


class _Terminal(msgspec.Struct):
    call_id: str
    own: bool
    tail: str = ""


class Terminals:
    """Those whose command has not ended."""

    def __init__(self, calls: ToolCalls, *, shown_live: bool) -> None:
        self._calls = calls
        self._shown_live = shown_live
        self._open: dict[str, _Terminal] = {}

    def output(self, mapped: TerminalStream, command: Any, paths: Paths) -> list[Update]:
        """A piece of output, or the beginning of a command."""
        found: list[Update] = []
        terminal = self._open.get(mapped.terminal_id)
        if terminal is None:
            terminal, found = self._begin(mapped.terminal_id, command, paths)
        if mapped.data:
            terminal.tail = (terminal.tail + mapped.data)[-TAIL_CHARS:]
            meta = {"terminal_output": {"terminal_id": mapped.terminal_id, "data": mapped.data}}
            found.append(self._told(mapped.terminal_id, terminal, None, meta))
        return found

    def exit(self, mapped: TerminalComplete, signal: Any) -> list[Update]:
        """A command ended."""
        terminal = self._open.pop(mapped.terminal_id, None)
        if terminal is None or not (terminal.own or self._shown_live):
            return []
        status = ("completed" if mapped.exit_code == 0 else "failed") if terminal.own else None
        ended = {"terminal_id": mapped.terminal_id, "exit_code": mapped.exit_code, "signal": signal}
        update = self._told(mapped.terminal_id, terminal, status, {"terminal_exit": ended})
        if terminal.own:
            update["rawOutput"] = {"exitCode": mapped.exit_code, "signal": signal}
            self._calls.close(terminal.call_id)
        return [update]

    def forget(self) -> None:
        """The turn is over, and with it its commands."""
        self._open.clear()

    def _begin(self, terminal_id: str, command: Any, paths: Paths) -> tuple[_Terminal, list[Update]]:
        found: list[Update] = []
        only = self._calls.only
        if only is not None and only[0] in self._open:
            only = None  # it stands for another command
        call_id = terminal_id if only is None else only[0]
        if only is None:
            title = command if isinstance(command, str) and command else "command"
            found += self._calls.begin(call_id, "terminal", {"title": title, "kind": "execute"})
            found.append(updates.tool_call_update(call_id, status="in_progress", rawInput={"command": title}))
        terminal = self._open[terminal_id] = _Terminal(call_id, own=only is None)
        if self._shown_live:
            meta = {"terminal_info": {"terminal_id": terminal_id, "cwd": paths.cwd}}
            call = self._calls.find(call_id)
            assert call is not None
            call.outputs = {**call.outputs, terminal_id: {"type": "terminal", "terminalId": terminal_id}}
            found.append({**updates.tool_call_update(call_id, content=call.content()), "_meta": meta})
        return terminal, found

    def _told(self, terminal_id: str, terminal: _Terminal, status: str | None, meta: dict[str, Any]) -> Update:
        if self._shown_live:
            return {**updates.tool_call_update(terminal.call_id, status=status), "_meta": meta}
        call = self._calls.find(terminal.call_id)
        if call is None or not terminal.tail:
            return updates.tool_call_update(terminal.call_id, status=status)
        shown = updates.text_content(f"```\n{terminal.tail.rstrip(chr(10))}\n```")
        call.outputs = {**call.outputs, terminal_id: shown}
        return updates.tool_call_update(terminal.call_id, status=status, content=call.content())
