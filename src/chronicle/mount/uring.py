"""FUSE over io_uring (Linux 6.14): requests come into memory we share with the kernel, on the processor that asked.

A round trip over `/dev/fuse` wakes a thread on another processor and costs two system calls; here the asking processor's own
queue is served by a thread that is bound to it, with one call for "this is done, give me the next". Each queue has a few
entries: a header page part that holds the request's header and first argument, and room for the rest. Numbers and offsets are
those of `linux/fuse.h` and `linux/io_uring.h`.

What has no reply (FORGET, INTERRUPT) and notifications still go over `/dev/fuse`.
"""

import ctypes
import logging
import mmap
import os
import struct
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from chronicle.mount import protocol
from chronicle.mount.channel import DeviceChannel, Reply
from chronicle.mount.protocol import Request

_log = logging.getLogger(__name__)

MAX_WRITE: Final = 128 << 10
"""Bytes of one read or write over a ring. Each entry has so much memory, so it is less than over the device; with passthrough
hardly any data comes this way."""

DEPTH: Final = 4
"""Entries of each processor's queue: requests that processor can have under way. More wait in the kernel."""

SWITCH: Final = Path("/sys/module/fuse/parameters/enable_uring")
"""`Y` where servers may ask for it; off by default, root's to change."""

_STOP_SECONDS: Final = 5.0
"""How long a ring's thread may take to see that the mount is gone."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

_SETUP: Final = 425
_ENTER: Final = 426
_ENTER_GETEVENTS: Final = 1
_SETUP_FLAGS: Final = 1 << 10 | 1 << 12 | 1 << 13
"""`SQE128`, `SINGLE_ISSUER`, `DEFER_TASKRUN`: long entries, one thread, and the kernel's part done when that thread asks."""

_OP_READ: Final = 22
_OP_URING_CMD: Final = 46
_REGISTER: Final = 1
_COMMIT_AND_FETCH: Final = 2

_PARAMETERS: Final = struct.Struct("<IIIII20x8I8x8I8x")
"""`struct io_uring_params`: entries, flags, and where things lie in the two shared maps."""

_SQE: Final = struct.Struct("<BBHiQQIIQ8xQQH6x")
"""opcode, flags, priority, descriptor, command, address, length, -, user data, then `struct fuse_uring_cmd_req`: flags,
commit id, queue."""

_SQE_BYTES: Final = 128
_CQE: Final = struct.Struct("<Qi4x")
_HEADER_BYTES: Final = 288
"""`struct fuse_uring_req_header`: 128 bytes of header in or out, 128 of the operation's argument, 32 about the entry."""

_ARGUMENT_AT: Final = 128
_COMMIT_AT: Final = 264
_PAYLOAD_SIZE_AT: Final = 272
_ENTRY_FACTS: Final = struct.Struct("<QI")

_WAKE: Final = (1 << 64) - 1
"""User data of the read that wakes a ring's thread for replies of other threads."""

_ARGUMENT_BYTES: Final = {
    protocol.GETATTR: 16, protocol.SETATTR: 88, protocol.MKNOD: 16, protocol.MKDIR: 8, protocol.RENAME: 8, protocol.LINK: 8,
    protocol.OPEN: 8, protocol.READ: 40, protocol.WRITE: 40, protocol.RELEASE: 24, protocol.FSYNC: 16, protocol.SETXATTR: 8,
    protocol.GETXATTR: 8, protocol.LISTXATTR: 8, protocol.FLUSH: 24, protocol.OPENDIR: 8, protocol.READDIR: 40,
    protocol.RELEASEDIR: 24, protocol.FSYNCDIR: 16, 31: 48, 32: 48, 33: 48, protocol.ACCESS: 8, protocol.CREATE: 16, 37: 16,
    39: 32, 40: 24, protocol.FALLOCATE: 32, protocol.READDIRPLUS: 40, protocol.RENAME2: 16, protocol.LSEEK: 24, 47: 56, 50: 8,
    protocol.TMPFILE: 16, 52: 24,
}  # fmt: skip
"""Length of each operation's first argument, which lies apart from the rest."""


def is_enabled() -> bool:
    """Whether the kernel has it and lets servers ask for it."""
    try:
        return SWITCH.read_text().strip() == "Y"
    except OSError:
        return False


class UringChannel:
    """A channel over rings, beside the device's. Requests are handed to `serve` on the rings' threads."""

    def __init__(self, device: DeviceChannel) -> None:
        self._device = device
        self._rings: list[_Ring] = []
        self._slots: dict[int, tuple[_Ring, int]] = {}

    def start(self, serve: Callable[[Request], None], enter: Callable[[], None]) -> None:
        """Gives every processor a queue, after INIT was answered. `enter` prepares each thread.

        Raises:
            OSError: the kernel refuses; requests come over the device then.
        """
        started: list[threading.Event] = []
        for processor in range(_possible_processors()):
            ring = _Ring(processor, self._device.device, self._slots)
            self._rings.append(ring)
            started.append(ring.start(serve, enter))
        for event in started:
            event.wait(_STOP_SECONDS)

    def receive(self) -> Request | None:
        """The next request that came over the device: one without a reply, or from before the rings."""
        return self._device.receive()

    def reply(self, reply: Reply) -> None:
        """Answers, where the request came from; any thread."""
        head = reply[0] if type(reply) is tuple else reply
        unique = protocol.OUT.unpack_from(head)[2]  # type: ignore[arg-type]
        slot = self._slots.pop(unique, None) if unique else None
        if slot is None:
            self._device.reply(reply)
            return
        ring, index = slot
        ring.commit(index, b"".join(reply) if type(reply) is tuple else reply)  # type: ignore[arg-type]

    def close(self) -> None:
        """Ends the rings' threads; the mount is gone."""
        for ring in self._rings:
            ring.stop()


def _possible_processors() -> int:
    last = Path("/sys/devices/system/cpu/possible").read_text().strip().split(",")[-1]
    return int(last.rpartition("-")[2]) + 1


class _Ring:
    """One processor's queue and the thread that serves it."""

    def __init__(self, processor: int, device: int, slots: dict[int, "tuple[_Ring, int]"]) -> None:
        self._processor = processor
        self._device = device
        self._slots = slots
        self._fd = -1
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._ending = False
        self._failed: OSError | None = None
        self._thread: threading.Thread | None = None

    def start(self, serve: Callable[[Request], None], enter: Callable[[], None]) -> threading.Event:
        """Starts the thread; the event says that its entries are with the kernel."""
        ready = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(serve, enter, ready), name=f"chronicle-ring-{self._processor}", daemon=True
        )
        self._thread.start()
        return ready

    def commit(self, index: int, reply: bytes) -> None:
        """The answer to the request in entry `index`; any thread."""
        if threading.current_thread() is self._thread:
            self._answer(index, reply)
        else:
            self._waiting.append((index, reply))
            os.eventfd_write(self._bell, 1)

    def stop(self) -> None:
        """Ends the thread and gives the ring back."""
        self._ending = True
        os.eventfd_write(self._bell, 1)
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)
        os.close(self._bell)

    # The thread's own.

    def _run(self, serve: Callable[[Request], None], enter: Callable[[], None], ready: threading.Event) -> None:
        try:
            enter()
            if self._processor in os.sched_getaffinity(0):
                os.sched_setaffinity(0, {self._processor})
            self._set_up()
            self._submit(0)
            ready.set()
            self._serve(serve)
        except OSError as error:
            if not self._ending:
                _log.warning("a ring ended", extra={"processor": self._processor, "reason": str(error)})
        finally:
            ready.set()
            self._tear_down()

    def _set_up(self) -> None:
        parameters = bytearray(_PARAMETERS.size)
        struct.pack_into("<II", parameters, 4, 0, _SETUP_FLAGS)
        handed = (ctypes.c_char * len(parameters)).from_buffer(parameters)
        self._fd = _checked(_libc.syscall(_SETUP, 4 * DEPTH, handed))
        del handed
        submissions, completions, _, _, _, *places = _PARAMETERS.unpack_from(parameters)
        ours, theirs = places[:8], places[8:]
        shared, populated = mmap.MAP_SHARED, mmap.MAP_POPULATE
        self._sq_map = mmap.mmap(self._fd, ours[6] + submissions * 4, shared | populated, offset=0)
        self._cq_map = mmap.mmap(self._fd, theirs[5] + completions * 16, shared | populated, offset=0x8000000)
        self._sqes = mmap.mmap(self._fd, submissions * _SQE_BYTES, shared | populated, offset=0x10000000)
        self._sq = memoryview(self._sq_map).cast("I")
        self._cq = memoryview(self._cq_map).cast("I")
        self._tail_at, self._mask, self._array_at = ours[1] // 4, self._sq[ours[2] // 4], ours[6] // 4
        self._cq_head_at, self._cq_tail_at = theirs[0] // 4, theirs[1] // 4
        self._cq_mask, self._cqes_at = self._cq[theirs[2] // 4], theirs[5]
        self._unsubmitted = 0
        self._headers = [bytearray(_HEADER_BYTES) for _ in range(DEPTH)]
        self._payloads = [bytearray(MAX_WRITE + 4096) for _ in range(DEPTH)]
        self._commits = [0] * DEPTH
        self._handed = [self._hand_over(index) for index in range(DEPTH)]
        self._bell_value = bytearray(8)
        self._bell_handed = (ctypes.c_char * 8).from_buffer(self._bell_value)
        self._listen()

    def _hand_over(self, index: int) -> tuple[object, ...]:
        """Registers an entry; what it returns must live as long as the kernel writes there."""
        header = (ctypes.c_char * _HEADER_BYTES).from_buffer(self._headers[index])
        payload = (ctypes.c_char * len(self._payloads[index])).from_buffer(self._payloads[index])
        vector = (ctypes.c_uint64 * 4)(
            ctypes.addressof(header), _HEADER_BYTES, ctypes.addressof(payload), len(self._payloads[index])
        )
        self._push(_OP_URING_CMD, self._device, _REGISTER, ctypes.addressof(vector), 2, index, 0)
        return header, payload, vector

    def _listen(self) -> None:
        self._push(_OP_READ, self._bell, 0, ctypes.addressof(self._bell_handed), 8, _WAKE, 0)

    def _push(self, operation: int, fd: int, command: int, address: int, length: int, data: int, commit: int) -> None:
        queue = self._sq
        tail = queue[self._tail_at]
        place = tail & self._mask
        _SQE.pack_into(
            self._sqes,
            place * _SQE_BYTES,
            operation,
            0,
            0,
            fd,
            command,
            address,
            length,
            0,
            data,
            0,
            commit,
            self._processor,
        )
        queue[self._array_at + place] = place
        queue[self._tail_at] = (tail + 1) & 0xFFFFFFFF
        self._unsubmitted += 1

    def _submit(self, wanted: int) -> None:
        count, self._unsubmitted = self._unsubmitted, 0
        while True:
            if _libc.syscall(_ENTER, self._fd, count, wanted, _ENTER_GETEVENTS, None, 0) >= 0:
                return
            number = ctypes.get_errno()
            if number != 4:  # EINTR: nothing was lost, what was submitted is taken
                raise OSError(number, os.strerror(number))
            count = 0

    def _serve(self, serve: Callable[[Request], None]) -> None:
        head = self._cq[self._cq_head_at]
        alive = DEPTH
        while alive and not self._ending:
            self._submit(1)
            while head != self._cq[self._cq_tail_at]:
                data, result = _CQE.unpack_from(self._cq_map, self._cqes_at + (head & self._cq_mask) * 16)
                head = (head + 1) & 0xFFFFFFFF
                self._cq[self._cq_head_at] = head
                if data == _WAKE:
                    self._answer_waiting()
                    self._listen()
                elif result < 0:
                    alive -= 1  # the mount is gone, or going
                else:
                    self._take(data, serve)

    def _take(self, index: int, serve: Callable[[Request], None]) -> None:
        header = self._headers[index]
        opcode = protocol.U32.unpack_from(header, 4)[0]
        self._commits[index], size = _ENTRY_FACTS.unpack_from(header, _COMMIT_AT)
        argument = _ARGUMENT_BYTES.get(opcode, 0)
        body = b"".join(
            (header[:40], header[_ARGUMENT_AT : _ARGUMENT_AT + argument], memoryview(self._payloads[index])[:size])
        )
        request = Request(body, len(body))
        self._slots[request.unique] = (self, index)
        serve(request)

    def _answer(self, index: int, reply: bytes) -> None:
        header = self._headers[index]
        header[0:16] = reply[:16]
        size = len(reply) - 16
        if size:
            self._payloads[index][0:size] = memoryview(reply)[16:]
        protocol.U32.pack_into(header, _PAYLOAD_SIZE_AT, size)
        self._push(_OP_URING_CMD, self._device, _COMMIT_AND_FETCH, 0, 0, index, self._commits[index])

    def _answer_waiting(self) -> None:
        while self._waiting:
            self._answer(*self._waiting.popleft())

    def _tear_down(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
