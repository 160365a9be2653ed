"""A mount being served: one thread answers the kernel, helper threads do what takes long."""

import errno
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from chronicle.layout import Layout, Settings
from chronicle.model.errors import ChronicleError
from chronicle.mount import device as fuse_device
from chronicle.mount import host, protocol, restoring
from chronicle.mount.awake import Awake
from chronicle.mount.channel import Channel, DeviceChannel, Reply
from chronicle.mount.nodes import Node, NodeTable
from chronicle.mount.notes import Later, Listener, Notes
from chronicle.mount.operations.attributes import Attributes
from chronicle.mount.operations.directories import Directories
from chronicle.mount.operations.extended import ExtendedAttributes
from chronicle.mount.operations.files import Files
from chronicle.mount.operations.links import Links
from chronicle.mount.operations.made import FIRST, MadeNodes
from chronicle.mount.operations.names import Names
from chronicle.mount.options import MountOptions
from chronicle.mount.protocol import Request
from chronicle.mount.quota import Quota
from chronicle.mount.reserve import Reserve, share_in
from chronicle.mount.served import Handler, Hollows, Served
from chronicle.mount.sweep import Sweep
from chronicle.mount.takeover import Agreed, TakeoverMemory
from chronicle.mount.uring import MAX_WRITE, UringChannel, is_enabled
from chronicle.mount.virtual import VirtualTree
from chronicle.page import Page

_log = logging.getLogger(__name__)

_WANTED: Final = (
    protocol.ASYNC_READ | protocol.ATOMIC_O_TRUNC | protocol.BIG_WRITES | protocol.ASYNC_DIO | protocol.PARALLEL_DIROPS
    | protocol.MAX_PAGES | protocol.CACHE_SYMLINKS | protocol.NO_OPENDIR_SUPPORT | protocol.HANDLE_KILLPRIV_V2
    | protocol.INIT_EXT | protocol.HAS_RESEND
)  # fmt: skip
"""What we ask of the kernel. Not the write-back cache: content would be noted before the kernel gave it to us."""


_PREPARATIONS: Final = 10
"""A request that has to wait for yet another thing so often is waiting for nothing."""


class Session:
    """Serves one mount from `device`, which stays the caller's, until it is unmounted.

    `memory` lets another process go on after this one; one that holds what an earlier process agreed makes this session a
    takeover: the kernel is asked to send unanswered requests again. `page` has open files counted. `statistics` counts requests by opcode; `passthrough` and
    `resend` say, once INIT is answered, what the kernel does for us.
    """

    def __init__(  # noqa: PLR0913 - what a session is made of; each is made apart
        self,
        layout: Layout,
        settings: Settings,
        recorder: Listener,
        worktree: Hollows | None,
        options: MountOptions,
        *,
        device: int,
        virtual: VirtualTree | None = None,
        memory: TakeoverMemory | None = None,
        page: Page | None = None,
    ) -> None:
        self.options = options
        self.statistics: dict[int, int] = {}
        self.passthrough = False
        self.io_uring = False
        self.resend = False
        self._layout = layout
        self._device = device
        self._rings = self._wanted_rings(device, memory)
        self._max_write = MAX_WRITE if self._rings is not None else options.max_write
        self._channel: Channel = self._rings or DeviceChannel(device, options.max_write)
        self._awake = Awake(options.keep_awake)
        self._lock = threading.Lock()
        self._root_fd = os.open(layout.tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._memory = memory
        self.table = NodeTable(os.fstat(self._root_fd).st_ino, memory)
        self.table.page = page
        self.notes = Notes(recorder)
        self.quota = Quota(
            options.quota_bytes if options.quota_bytes is not None else settings.quota_bytes,
            Reserve(self._root_fd, share_in(os.environ)).is_reached,
        )
        self._served = Served(options, self.table, self.notes, self.quota, worktree, self._root_fd)
        self._served.device = device
        self._served.sync = (options.durability or settings.durability) == "sync"
        self._sweep = Sweep(self._lock, self.table, self.notes, options, self._root_fd)
        self._served.writing_began = self._sweep.writing_began
        self._served.closed = self._sweep.closed
        self._sweep.changed_unseen = self._tell_kernel
        self._sweep.looked_at = self._measure
        self._pool = ThreadPoolExecutor(options.threads, "chronicle-mount", host.enter, (self._root_fd,))
        self._ending = threading.Event()
        generation = memory.generation if memory is not None else 0
        made = (
            MadeNodes(virtual, self._channel, self._served.seconds, generation, self._root_fd)
            if virtual is not None
            else None
        )
        self._made = made
        self._handlers = self._all_handlers()

    def _wanted_rings(self, device: int, memory: TakeoverMemory | None) -> UringChannel | None:
        """Rings, when they are wanted and may be had, and no earlier process has agreed otherwise."""
        begun = memory is not None and memory.agreed.minor
        if self.options.io_uring == "off" or begun or not is_enabled():
            return None
        return UringChannel(DeviceChannel(device, MAX_WRITE))

    def _all_handlers(self) -> dict[int, Handler]:
        served = self._served
        names = Names(served)
        groups = (
            names, Links(served, names), Files(served, names), Attributes(served), Directories(served),
            ExtendedAttributes(served),
        )  # fmt: skip
        handlers: dict[int, Handler] = {protocol.INIT: self._init, protocol.DESTROY: lambda r: protocol.ok(r.unique)}
        for group in groups:
            handlers.update(group.handlers())
        return handlers

    def run(self) -> None:
        """Serves until unmounted; the calling thread is the protocol thread. May be called once."""
        counter: threading.Thread | None = None
        try:
            with host.Inside(self._root_fd):
                if self._memory is not None and self._memory.agreed.minor:
                    self._take_over(self._memory)
                if self.quota.limit is not None:
                    counter = threading.Thread(target=self._count, name="chronicle-quota", daemon=True)
                    counter.start()
                self._loop()
        finally:
            self._ending.set()
            if counter is not None:
                counter.join()
            self._close()

    def _loop(self) -> None:
        receive, serve = self._channel.receive, self._serve
        while (request := receive()) is not None:
            serve(request)

    def requests(self) -> int:
        """How many were served, about: a number that stands still while nothing is asked."""
        return self._awake.count

    def flush(self) -> None:
        """Notes what open files hold that is not noted yet; for barriers and checkpoints. Any thread.

        Raises:
            OSError: one could not be read; all others are noted.
        """
        failed: OSError | None = None
        with self._lock:
            for node in list(self.table.writing):
                try:
                    self.notes.looked_at(node, quiet_ns=None)
                except OSError as error:
                    failed = error
        if failed is not None:
            raise failed

    def _serve(self, request: Request) -> None:
        """Answers one request, whatever happens: no exception leaves it."""
        opcode = request.opcode
        self.statistics[opcode] = self.statistics.get(opcode, 0) + 1
        self._awake.served()
        made = self._made
        if opcode in protocol.WITHOUT_REPLY or (made is not None and (request.node >= FIRST or made.is_root(request))):
            self._serve_apart(request)
            return
        handler = self._handlers.get(opcode)
        if handler is None:
            self._channel.reply(protocol.failed(request.unique, errno.ENOSYS))
            return
        try:
            self._carry_out(request, handler)
        except Later as later:
            request.keep()
            prepare = later.prepare
            self._pool.submit(self._prepare, request, handler, prepare)

    def _carry_out(self, request: Request, handler: Handler) -> None:
        """Raises `Later` and nothing else."""
        with self._lock:
            noted = self.notes.count
            reply = self._attempt(request, handler)
            waits = self._served.sync and self.notes.count != noted
        if reply is None:
            return
        if waits:
            self.notes.when_recorded(lambda: self._channel.reply(reply))
        else:
            self._channel.reply(reply)

    def _attempt(self, request: Request, handler: Handler) -> Reply | None:
        try:
            return handler(request)
        except Later:
            raise
        except OSError as error:
            return protocol.failed(request.unique, error.errno)
        except Exception as error:  # noqa: BLE001 - a fault of ours is one failed call, not the end of the mount
            return self._fault(request, error)

    def _fault(self, request: Request, error: Exception) -> Reply:
        """One failed call and one line; a traceback when the error is none that was made on purpose."""
        facts = {"operation": protocol.NAMES.get(request.opcode, request.opcode), "reason": str(error)}
        _log.error("a request failed", extra=facts, exc_info=None if isinstance(error, ChronicleError) else error)
        return protocol.failed(request.unique, errno.EIO)

    def _prepare(self, request: Request, handler: Handler, prepare: Callable[[], None]) -> None:
        """On a helper thread: what had to be waited for, then the request; again when more is to be waited for."""
        for _ in range(_PREPARATIONS):
            try:
                prepare()
            except FileNotFoundError:
                pass  # renamed or removed meanwhile: the request finds out, or names the new place
            except OSError as error:
                self._channel.reply(protocol.failed(request.unique, error.errno))
                return
            except Exception as error:  # noqa: BLE001 - as above
                self._channel.reply(self._fault(request, error))
                return
            request.prepared = True
            try:
                self._carry_out(request, handler)
            except Later as later:
                prepare = later.prepare
            else:
                return
        self._channel.reply(protocol.failed(request.unique, errno.EIO))

    def _serve_apart(self, request: Request) -> None:
        """Requests without a reply, and those for what is made."""
        opcode, made = request.opcode, self._made
        if opcode == protocol.INTERRUPT:
            if made is not None:
                made.interrupt(protocol.U64.unpack_from(request.body)[0])
        elif opcode in protocol.WITHOUT_REPLY:
            with self._lock:
                self._forget(request)
        else:
            request.keep()
            self._pool.submit(self._answer_made, request)

    def _forget(self, request: Request) -> None:
        if request.opcode == protocol.FORGET:
            forgotten = [(request.node, protocol.U64.unpack_from(request.body)[0])]
        else:
            count = protocol.U32.unpack_from(request.body)[0]
            forgotten = list(protocol.FORGETS.iter_unpack(request.body[8 : 8 + 16 * count]))
        for node, lookups in forgotten:
            if node >= FIRST:
                if self._made is not None:
                    self._made.forget(node, lookups)
            else:
                self.table.forget(node, lookups)

    def _answer_made(self, request: Request) -> None:
        if self._made is not None:
            reply = self._attempt(request, self._made.answer)
            if reply is not None:
                self._channel.reply(reply)

    def _init(self, request: Request) -> None:
        major, offered = protocol.parse_init(request.body)
        if major < protocol.KERNEL_MAJOR:
            raise OSError(errno.EPROTO, f"the kernel speaks FUSE {major}")
        wanted = _WANTED
        if self.options.passthrough:
            wanted |= protocol.PASSTHROUGH
        if self.options.readdirplus:
            wanted |= protocol.DO_READDIRPLUS | protocol.READDIRPLUS_AUTO
        if self._rings is not None:
            # Entries of a ring die with its process: another can't go on, the mount is made anew.
            wanted = wanted & ~protocol.HAS_RESEND | protocol.OVER_IO_URING
        minor = min(offered.minor, protocol.KERNEL_MINOR)
        agreed = protocol.Initialisation(minor, offered.flags & wanted, offered.readahead, self._max_write)
        self._channel.reply(protocol.init_reply(request.unique, agreed))
        self._begin(agreed.flags)
        if self._rings is not None and agreed.flags & protocol.OVER_IO_URING:
            self._rings.start(self._serve, lambda: host.enter(self._root_fd))
            self.io_uring = True
        if self._memory is not None:
            self._memory.agree(Agreed(*agreed))

    def _begin(self, flags: int) -> None:
        self.passthrough = bool(flags & protocol.PASSTHROUGH) and fuse_device.can_pass_through(self._device)
        self.resend = bool(flags & protocol.HAS_RESEND)
        self._served.through = self.passthrough

    def _take_over(self, memory: TakeoverMemory) -> None:
        """Learns what the kernel knows, finds its files in the tree, and has unanswered requests sent again."""
        found = restoring.restore(self.table, memory)
        self._sweep.watch(found)
        self._begin(memory.agreed.flags)
        if self.resend:
            self._channel.reply(protocol.resend())

    def _count(self) -> None:
        self.quota.count(self._layout.tree, self._ending)

    def _measure(self, node: Node) -> None:
        if self.quota.limit is not None and node.handles:
            self.quota.measured(node, os.fstat(node.handles[0].fd))

    def _tell_kernel(self, node: Node) -> None:
        self._channel.reply(protocol.invalidate_attributes(node.id))

    def _close(self) -> None:
        """Notes what is left (after a forced unmount files may be open) and gives everything back."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._awake.close()
        if self._rings is not None:
            self._rings.close()
        self._sweep.stop()
        try:
            self.flush()
        except OSError:
            _log.exception("what an open file holds could not be noted")
        for number in list(self.table.handles):
            handle = self.table.closed(number)
            if handle is not None:
                os.close(handle.fd)
        for node in list(self.table.by_id.values()):
            node.close()
        if self._made is not None:
            self._made.close()
        os.close(self._root_fd)
