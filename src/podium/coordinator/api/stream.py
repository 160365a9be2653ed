"""The stream of an instance over a WebSocket (docs/reference/stream-protocol.md).

A connection is a cursor over the journal. While it is behind, it reads pages as fast as the client takes them; once it
has reached the head it is live, and every committed batch is written to it as it is. Each event is sent exactly once,
in order: the cursor moves with what is written, and nothing else does.
"""

import asyncio
from collections import deque
from contextlib import AbstractContextManager
from typing import Final

import msgspec

from podium.base import telemetry
from podium.base.http import Identity
from podium.base.http.framing import SYNC_BYTES, pong_frame, text_frame
from podium.base.http.websocket import WebSocket
from podium.base.logs import working_for
from podium.base.telemetry import Span
from podium.coordinator.adapters.store import StoreError
from podium.coordinator.supervisor.audience import Published
from podium.coordinator.supervisor.commands import Incoming
from podium.coordinator.supervisor.instance import Instance
from podium.coordinator.supervisor.showing import visible
from podium.coordinator.supervisor.supervisor import Supervisor
from podium.wire import commands as wire
from podium.wire.close import CloseCode
from podium.wire.envelope import local_frame
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.limits import BAD_FRAMES_MAX, SLOW_CONSUMER_MAX_BYTES, SLOW_CONSUMER_MAX_EVENTS
from podium.wire.link import Origin
from podium.wire.rest import Permission

SYNC_EVERY_BYTES: Final = 64 * 1024
"""About how often a connection with `Podium-Sync` gets its mark."""

PAGE_EVENTS: Final = 256
"""Events read at once while catching up …"""

PAGE_BYTES: Final = 1024 * 1024
"""… and fewer when a page of them is larger than this."""


EARLY_MAX: Final = 100
"""Commands that are kept of a client that does not wait for `connected`, while that waits for a replica."""


class Wanted(msgspec.Struct, frozen=True):
    """What a connection asked for. `after`: resume behind this event; None: only what happens from now on.
    `traceparent`: the trace its commands belong to; empty: each to one of its own.
    `sync`: 16 bytes to be sent as a pong between frames, so that a proxy can find a frame's beginning."""

    instance_id: str
    identity: Identity
    after: int | None = None
    sync: bytes = b""
    traceparent: str = ""


class StreamConnection:
    """One client's connection to one instance: a `Peer` of its socket, a `Listener` of the instance."""

    def __init__(self, socket: WebSocket, supervisor: Supervisor, wanted: Wanted) -> None:
        self._socket = socket
        self._supervisor = supervisor
        self._wanted = wanted
        self._instance: Instance | None = None
        self._cursor = 0
        self._live = False
        self._pumping = False
        self._page = PAGE_EVENTS
        self._bad_frames = 0
        self._since_mark = 0
        self._early: deque[bytes] = deque(maxlen=EARLY_MAX)
        self._unsent: deque[tuple[int, int]] = deque()
        self._sent_seq = 0
        self._gone = False

    # ── the socket's calls ──────────────────────────────────────────────────────────────────────────────────

    def opened(self) -> None:
        """Joins the instance's audience, or says why not."""
        self._supervisor.parts.metrics.add("connections_opened_total")
        self._join()

    def _join(self) -> None:
        if self._gone:
            return
        try:
            with telemetry.under(
                self._wanted.traceparent
            ):  # an agent that is woken by it is woken for whoever connects
                self._attach(self._find())
        except PodiumError as error:
            if error.mapping.retryable and self._wanted.sync:
                self._socket.let_go()  # the gateway asks again, here or elsewhere; its client need not know
            else:
                self._socket.close(error.mapping.close, error.detail)
        except StoreError:
            self._socket.close(CloseCode.INTERNAL, "the agent's databases can't be read")

    def text_received(self, data: bytes) -> None:
        """A command."""
        instance = self._instance
        if instance is None:
            self._early.append(data)
            return
        try:
            command = wire.read_command(data)
        except PodiumError as error:
            self._bad_frame(error, wire.command_id_of(data))
            return
        try:
            if isinstance(command, wire.Ping):
                self._local("pong", {"id": command.id} if command.id is not None else None)
            else:
                with working_for(instance.facts.instance_id), self._traced(command):
                    self._act(instance, command)
        except PodiumError as error:
            self._refuse(error, command.id)
        except StoreError:
            self._refuse(PodiumError(ErrorCode.INTERNAL, "the agent's databases can't be used"), command.id)

    def binary_received(self) -> None:
        """Nothing of ours is binary."""
        self._bad_frame(PodiumError(ErrorCode.INVALID_REQUEST, "commands are text frames"), None)

    def drained(self) -> None:
        """The client took what was written."""
        if not self._live:
            self._pump_soon()

    def closed(self) -> None:
        """The connection is gone."""
        self._gone = True
        instance, self._instance = self._instance, None
        if instance is not None:
            instance.audience.leave(self)
            instance.rest()

    # ── the instance's calls ────────────────────────────────────────────────────────────────────────────────

    def published(self, batch: Published) -> None:
        """A committed batch."""
        if not self._live:
            return
        if not self._socket.unsent:
            self._unsent.clear()
            self._sent_seq = self._cursor
        elif self._is_too_slow():
            return
        if self._wanted.sync:
            self._write_frames(batch.frames)
        else:
            self._socket.write(batch.joined)
        self._cursor = batch.last_seq
        if self._socket.unsent:
            self._unsent.append((self._socket.written, self._cursor))

    def ended(self, code: CloseCode, reason: str) -> None:
        """The instance is over, or goes elsewhere; a gateway that attaches its client again by itself needs no word of that."""
        if code == CloseCode.MOVING and self._wanted.sync:
            self._socket.let_go()
        else:
            self._socket.close(code, reason)

    # ── attaching, catching up ──────────────────────────────────────────────────────────────────────────────

    def _find(self) -> Instance:
        instance = self._supervisor.instances.get(self._wanted.instance_id)
        if instance is None and self._wanted.sync and self._supervisor.has_moved(self._wanted.instance_id):
            raise PodiumError(
                ErrorCode.DRAINING, "the agent has moved"
            )  # discovery may not know yet where it is: ask again
        if instance is None:
            instance = self._supervisor.known(self._wanted.instance_id)
        if not self._wanted.identity.sees(instance.facts.tenant_id):
            raise PodiumError(ErrorCode.INSTANCE_NOT_FOUND, "there is no such instance on this host")
        if instance.is_over:
            raise PodiumError(ErrorCode.INSTANCE_STOPPING, f"the instance is {instance.status.value}")
        if self._supervisor.draining:
            raise PodiumError(ErrorCode.DRAINING, "the host is going down")
        return self._supervisor.alive(self._wanted.instance_id)  # only what is among this host's may be written

    def _attach(self, instance: Instance) -> None:
        store, showing = instance.store, instance.showing
        if showing is not None and not showing.is_certain:
            showing.after_all(self._join)  # what a crash left is replicated first
            return
        after = self._wanted.after
        if after is not None and after > store.head_seq:
            self._supervisor.adoptions.tails.claimed(instance, after)
        head = visible(instance, store).seq
        if after is not None and after > head:
            instance.rest()
            raise PodiumError(ErrorCode.RESUME_GONE, f"the journal ends at {head}; {after} was never written")
        self._instance = instance
        instance.audience.join(self)
        facts = instance.facts
        self._socket.write_text(
            local_frame(
                "connected",
                wire.Connected(
                    protocol=wire.PROTOCOL,
                    instance_id=facts.instance_id,
                    agent_id=facts.agent_id,
                    deployment_id=facts.deployment.deployment_id,
                    status=instance.status.value,
                    last_seq=head,
                ),
            )
        )
        if self._wanted.sync:
            self._socket.write(pong_frame(self._wanted.sync))
        if after is None:
            self._show_pending(instance)
        self._cursor = self._sent_seq = head if after is None else after
        self._live = self._cursor == head
        instance.touch()
        instance.life.wake()
        if not self._live:
            self._pump()
        while self._early:
            self.text_received(self._early.popleft())

    def _show_pending(self, instance: Instance) -> None:
        """What is asked and not answered: a client that starts now would never hear of it otherwise."""
        newest = visible(instance, instance.store).seq
        for row in instance.store.open_requests():
            if row.seq > newest:
                continue  # it comes as every event does
            for event in instance.store.events(row.seq - 1, 1):
                self._socket.write_text(instance.audience.writer.write(event))

    def _pump_soon(self) -> None:
        if not self._pumping:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        """Writes one page, and comes back for the next when the loop and the client allow."""
        self._pumping = False
        instance = self._instance
        if instance is None or not self._socket.is_open:
            return
        try:
            newest = visible(instance, instance.store).seq
            rows = instance.store.events(self._cursor, self._page, newest)
        except StoreError:
            self._socket.close(CloseCode.INTERNAL, "the agent's databases can't be read")
            return
        if rows:
            frames = [text_frame(instance.audience.writer.write(row)) for row in rows]
            size = self._write_frames(frames)
            self._cursor = rows[-1].seq
            self._page = max(8, self._page // 4) if size > PAGE_BYTES else min(PAGE_EVENTS, self._page * 2)
        if self._cursor == newest:
            self._live = True
            self._sent_seq = self._cursor
        elif not self._socket.is_paused:
            self._pump_soon()

    def _write_frames(self, frames: list[bytes]) -> int:
        """Writes frames, with the marks a proxy asked for between them; returns their size."""
        size = sum(map(len, frames))
        if not self._wanted.sync or self._since_mark + size < SYNC_EVERY_BYTES:
            self._since_mark += size
            self._socket.write(b"".join(frames))
            return size
        parts: list[bytes] = []
        for frame in frames:
            parts.append(frame)
            self._since_mark += len(frame)
            if self._since_mark >= SYNC_EVERY_BYTES:
                parts.append(pong_frame(self._wanted.sync))
                self._since_mark = 0
        self._socket.write(b"".join(parts))
        return size

    def _is_too_slow(self) -> bool:
        """Closes a live connection that is too far behind; it never slows the agent or the others. Only what earlier
        batches left unsent counts: nobody is slow for one that was only just written."""
        unsent = self._socket.unsent
        sent = self._socket.written - unsent
        while self._unsent and self._unsent[0][0] <= sent:
            self._sent_seq = self._unsent.popleft()[1]
        behind = self._cursor - self._sent_seq if self._unsent else 0
        if unsent <= SLOW_CONSUMER_MAX_BYTES and behind <= SLOW_CONSUMER_MAX_EVENTS:
            return False
        self._supervisor.parts.metrics.add("slow_consumers_total")
        if self._instance is not None:
            self._instance.audience.leave(self)
        self._live = False
        self._socket.close(CloseCode.SLOW_CONSUMER, "the connection could not keep up; resume with after")
        return True

    # ── commands ────────────────────────────────────────────────────────────────────────────────────────────

    def _traced(self, command: wire.Command) -> AbstractContextManager[Span]:
        """A span around what a command does, below that of whoever sent it."""
        given = None if isinstance(command, wire.Ping) else telemetry.valid(command.traceparent)
        return telemetry.span(
            f"command {type(command).__struct_config__.tag}",
            parent=given or self._wanted.traceparent,
            kind="server",
            attributes={"podium.instance_id": self._wanted.instance_id},
        )

    def _act(self, instance: Instance, command: wire.Command) -> None:
        commands = instance.commands
        match command:
            case wire.ProcessMessage():
                self._need(Permission.INSTANCES_WRITE)
                commands.send_message(_incoming(instance, self._wanted.identity, command), self._acknowledge)
            case wire.Steer():
                self._need(Permission.INSTANCES_WRITE)
                commands.steer(command.content.text, command.id, self._acknowledge)
            case wire.Cancel():
                self._need(Permission.INSTANCES_WRITE)
                commands.cancel(command.id, self._acknowledge)
            case wire.Answer():
                self._need(Permission.INSTANCES_WRITE)
                commands.answer(command.content, command.id, self._acknowledge)
            case wire.ConfigUpdate():
                self._need(Permission.CONFIG_WRITE)
                commands.update_config(command.content.changes, command.id, self._acknowledge)

    def _need(self, permission: Permission) -> None:
        if not self._wanted.identity.may(permission):
            raise PodiumError(ErrorCode.PERMISSION_DENIED, f"this needs the permission {permission.value}")

    def _acknowledge(self, ack: wire.Ack) -> None:
        self._local("ack", ack)

    def _refuse(self, error: PodiumError, command_id: str | None) -> None:
        self._local("nack", wire.Nack(code=error.code.value, message=error.detail, id=command_id))

    def _bad_frame(self, error: PodiumError, command_id: str | None) -> None:
        self._bad_frames += 1
        self._refuse(error, command_id)
        if self._bad_frames >= BAD_FRAMES_MAX:
            self._socket.close(CloseCode.BAD_FRAMES, f"{BAD_FRAMES_MAX} frames were no commands")

    def _local(self, name: str, content: object) -> None:
        frame = text_frame(local_frame(name, content))
        self._since_mark += len(frame)
        self._socket.write(frame)


def _incoming(instance: Instance, identity: Identity, command: wire.ProcessMessage) -> Incoming:
    data = dict(command.content)
    if command.messages is not None:
        data["messages"] = command.messages
    if command.attachments is not None:
        data["attachments"] = command.attachments
    origin = Origin(identity.tenant_id or instance.facts.tenant_id, "admin" if identity.is_admin else "user", "stream")
    return Incoming(data, origin, command.id, command.on_busy)


def parse_sync(text: str | None) -> bytes:
    """The mark in a `Podium-Sync` header; empty when there is none or it is malformed."""
    if text is None or len(text) != 2 * SYNC_BYTES:
        return b""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
