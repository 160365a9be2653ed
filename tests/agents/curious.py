"""Looks at whatever it is pointed at, and reports what it could read, write, signal and connect to."""

import json
import os
import socket
from typing import Any

from podium.agent import AgentContext, BaseAgent


def can_read(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            file.read(1)
    except OSError:
        return False
    return True


def can_signal(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def can_connect(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as link:
        try:
            link.connect(path)
        except OSError:
            return False
    return True


def look(order: Any) -> dict[str, Any]:
    found, folders = list(order["paths"]), []
    for root in order["roots"]:
        for parent, _, files in os.walk(root):
            folders.append(parent)
            found += [os.path.join(parent, name) for name in files]
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    others = [pid for pid in pids if pid != os.getpid()]
    return {
        "uid": os.getuid(),
        "pids": pids,
        "read": [path for path in found if can_read(path)],
        "written": [folder for folder in folders if os.access(folder, os.W_OK)],
        "environ": [pid for pid in others if can_read(f"/proc/{pid}/environ")],
        "signalled": [pid for pid in others if can_signal(pid)],
        "connected": [path for path in order["sockets"] if can_connect(path)],
        "secret": os.environ.get("TOKEN", ""),
    }


class Agent(BaseAgent):
    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        reply = await ctx.send_message()
        await reply.stream_token(json.dumps(look(json.loads(message["text"]))), final=True)
