"""What shows a workspace to its users: a FUSE mount, or a watched plain directory."""

import logging
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol

import msgspec

from chronicle.control.messages import Put, Remove, Restore, Restored
from chronicle.daemon.hands import Hands
from chronicle.model.errors import ChronicleError, StorageError
from chronicle.mount import device
from chronicle.mount.magic import Magic
from chronicle.mount.options import MountOptions
from chronicle.mount.session import Session
from chronicle.mount.takeover import TakeoverMemory
from chronicle.page import Page
from chronicle.watch import WatchBackend
from chronicle.workspace import here, trees
from chronicle.workspace.writer import Writer

if TYPE_CHECKING:
    from chronicle.daemon.holding import Holder

_log = logging.getLogger(__name__)

LEAVE_SECONDS: Final = 5.0
"""How long the users of a mount may take to leave it before it is taken from them."""

RECORD_SECONDS: Final = 30.0
"""How long recording what is noted may take before the mount is taken away."""

COMPARE_SECONDS: Final = 0.3
"""How long a mount waits, after an unclean end, for the comparison of tree and head; that of a larger tree goes on beside serving,
so that a mount whose process died is back within a second.
"""

_LEAVE_POLL_SECONDS: Final = 0.02


class Order(msgspec.Struct, frozen=True):
    """What a worker is started for. `device` and `memory` are descriptors, of the FUSE backend only."""

    workspace: Path
    mountpoint: Path
    backend: Literal["fuse", "watch"]
    options: MountOptions
    device: int = -1
    memory: int = -1


class Front(Protocol):
    """One way to show a workspace. `lazy`: why it had to be taken from its users; `served` is set when `serve` has returned."""

    backend: Literal["fuse", "watch"]
    lazy: str | None
    served: threading.Event

    @property
    def passthrough(self) -> bool:
        """Whether the kernel reads and writes file data itself."""

    def attach(self, holder: "Holder") -> None:
        """Who answers what is asked through `.chronicle/`."""

    def serve(self) -> None:
        """Shows the workspace until it is left."""

    def flush(self, timeout: float) -> None:
        """Notes all that has happened until now, also in files that are open."""

    def change(self, request: Put | Remove | Restore, head: int) -> Restored | None:
        """Carries a change of the tree out; called by one thread at a time."""

    def leave(self) -> None:
        """Ends `serve`. Called on another thread."""


class FuseFront:
    """A workspace shown by a FUSE mount."""

    backend: Literal["fuse", "watch"] = "fuse"

    def __init__(self, order: Order, writer: Writer, hands: Hands, page: Page | None) -> None:
        self._mountpoint = order.mountpoint
        self._writer = writer
        self._hands = hands
        self.lazy: str | None = None
        self.served = threading.Event()
        trees.move_home(writer.layout)
        writer.compare(COMPARE_SECONDS)
        memory = TakeoverMemory(order.memory)
        shared = page if _may_share(order, writer, memory) else None
        self._magic = Magic(writer.history, writer.pool, writer.layout.root)
        self._session = Session(
            writer.layout,
            writer.settings,
            writer.recorder,
            writer.worktree,
            order.options,
            device=order.device,
            virtual=self._magic,
            memory=memory,
            page=shared,
        )
        writer.recorder.give_way(self._session.requests)
        if shared is not None:
            writer.recorder.share(shared)
            shared.begin()

    @property
    def passthrough(self) -> bool:
        """Whether the kernel reads and writes file data itself."""
        return self._session.passthrough

    def attach(self, holder: "Holder") -> None:
        """Gives `.chronicle/` its answers."""
        self._magic.attach(_Acting(holder))

    def serve(self) -> None:
        """Answers the kernel until the mount is gone."""
        try:
            self._session.run()
        finally:
            self._magic.close()
        self.served.set()

    def flush(self, timeout: float) -> None:  # noqa: ARG002 - nothing is waited for here
        """Notes what open files hold."""
        self._session.flush()

    def change(self, request: Put | Remove | Restore, head: int) -> Restored | None:
        """Through the mount, by a hand, so that the kernel's caches stay right."""
        with self._hands.alone():
            return self._hands.do(request, head)

    def leave(self) -> None:
        """Records everything, then unmounts; from users who do not leave within `LEAVE_SECONDS` it is taken."""
        try:
            self._session.flush()
            self._writer.recorder.barrier(RECORD_SECONDS)
        except (TimeoutError, ChronicleError) as error:
            _log.error(
                "not everything is recorded before the mount goes; the journal keeps it", extra={"reason": str(error)}
            )
        end = time.monotonic() + LEAVE_SECONDS
        while True:
            try:
                device.unmount(self._mountpoint)
            except StorageError as error:
                if time.monotonic() >= end:
                    self.lazy = str(error)
                    break
                self.served.wait(_LEAVE_POLL_SECONDS)
            else:
                return
        _log.warning(
            "the mount is taken from who still uses it",
            extra={"mountpoint": str(self._mountpoint), "reason": self.lazy},
        )
        device.unmount(self._mountpoint, lazy=True)


def _may_share(order: Order, writer: Writer, memory: TakeoverMemory) -> bool:
    """Whether all that is open for writing will be known here. Not after a takeover: files that were opened before are not. Where
    replies wait for the record there is little to save."""
    durability = order.options.durability or writer.settings.durability
    return not memory.agreed.minor and durability == "queued"


class _Acting:
    """What `.chronicle/barrier` and `.chronicle/restore` do."""

    def __init__(self, holder: "Holder") -> None:
        self._holder = holder

    def barrier(self) -> int:
        """Recorded, and replicated where that is set up."""
        return self._holder.replicated()

    def restore(self, iteration: int, path: bytes = b"") -> object:
        """As `Workspace.restore`."""
        return self._holder.restore(iteration, path)


class WatchFront:
    """A workspace that is a plain directory."""

    backend: Literal["fuse", "watch"] = "watch"
    passthrough = False

    def __init__(self, order: Order, writer: Writer) -> None:
        self._writer = writer
        self.lazy: str | None = None
        self.served = threading.Event()
        self._left = threading.Event()
        writer.worktree.complete()
        trees.move_out(writer.layout, order.mountpoint)
        self._watching = WatchBackend(writer.layout, writer.settings, writer.recorder, order.mountpoint)
        self._watching.start()
        writer.compared = True  # it begins with a comparison of its own

    def attach(self, holder: "Holder") -> None:
        """There are no magic files in a plain directory."""

    def serve(self) -> None:
        """Waits for the end; the watching is done by a thread of its own."""
        while not self._left.wait(3600.0):
            pass
        self._watching.stop()
        trees.move_home(self._writer.layout)
        self.served.set()

    def flush(self, timeout: float) -> None:
        """Waits until the kernel's notifications of all that has happened were seen."""
        self._watching.barrier(timeout)

    def change(self, request: Put | Remove | Restore, head: int) -> Restored | None:
        """In the directory itself."""
        return here.change(self._writer, request, head)

    def leave(self) -> None:
        """Ends `serve`."""
        self._left.set()
