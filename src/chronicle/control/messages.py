"""What is said over the sockets: the requests a workspace's holder understands, those the supervisor understands, and answers.

Each request is a struct whose tag is the word in `do`. Defaults are left out on the wire, unknown fields are refused.
"""

from typing import Final, Literal

import msgspec

from chronicle.control.failures import Failure
from chronicle.model.iterations import Iteration

MESSAGE_BYTES: Final = 4 * 1024 * 1024
"""Longest line either side accepts; contents never travel here, and pushes hold at most `PUSHED_AT_ONCE` iterations."""

PUSHED_AT_ONCE: Final = 200
"""Iterations in one push: 200 paths of 4,096 bytes in base64 stay well below `MESSAGE_BYTES`."""


class _Request(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="do"):
    id: int


class Barrier(_Request, tag="barrier", frozen=True):
    """Answers with head once all that happened before is on disk in the history; a timeout when it is not within so many seconds.

    `remote`: and once its contents are in the remote tier, where there is one.
    """

    timeout: float = 30.0
    remote: bool = False


class Annotate(_Request, tag="annotate", frozen=True):
    """Changes from now on belong to this turn; None: to none."""

    turn_id: str | None = None


class MakeCheckpoint(_Request, tag="checkpoint", frozen=True):
    """Names the moment after all that happened before. Answers with the checkpoint."""

    label: str | None = None
    turn_id: str | None = None


class Restore(_Request, tag="restore", frozen=True):
    """Makes the tree, or what is at `path`, as it was at `iteration`. Answers with `Restored`."""

    iteration: int
    path: bytes = b""


class Fork(_Request, tag="fork", frozen=True):
    """Makes a history at `into` (a directory) that begins as this one was at `at`; head when None. Answers with the iteration."""

    into: str
    at: int | None = None


class Put(_Request, tag="put", frozen=True):
    """Writes the content of the file `source` to `path`. Answers with head.

    `mode`: permission bits; None keeps those there are (0644 for a new file). `if_hash`: as `Workspace.put`.
    """

    path: bytes
    source: str
    mode: int | None = None
    if_hash: str | None = None


class Remove(_Request, tag="remove", frozen=True):
    """Removes what is at `path`, directories with what they hold. Answers with head."""

    path: bytes
    if_hash: str | None = None


class Follow(_Request, tag="follow", frozen=True):
    """Pushes every iteration after `after` on this connection, from now on. Answers with head."""

    after: int


class GetStatus(_Request, tag="status", frozen=True):
    """Answers with `HolderStatus`."""


HolderRequest = Barrier | Annotate | MakeCheckpoint | Restore | Fork | Put | Remove | Follow | GetStatus


class Restored(msgspec.Struct, frozen=True):
    """What a restore did: head after it, and the paths it touched, in order. Nothing touched: the tree was like that already."""

    head: int
    paths: list[bytes]


class HolderStatus(msgspec.Struct, frozen=True):
    """What the process that holds a workspace says about itself.

    `problem`: why recording can't go on at present (a full disk), None when it does. `reconciling`: after an unclean end the
    tree is still being compared with the history.
    """

    pid: int
    backend: Literal["fuse", "watch"]
    mountpoint: str
    head: int
    passthrough: bool = False
    problem: str | None = None
    reconciling: bool = False


class Mount(_Request, tag="mount", frozen=True):
    """Mounts a workspace. Answers with `Mounted` when it serves.

    `backend` `auto`: FUSE when the host can, else `watch`. Both paths are absolute.
    """

    workspace: str
    mountpoint: str
    backend: Literal["auto", "fuse", "watch"] = "auto"
    passthrough: bool = True
    io_uring: Literal["off", "auto", "on"] = "off"
    keep_awake: Literal["off", "auto", "on"] = "auto"
    allow_other: bool = False


class Unmount(_Request, tag="unmount", frozen=True):
    """Records everything, then unmounts. `place` is the mount point or the workspace. Answers with `Unmounted`."""

    place: str


class ListMounts(_Request, tag="list", frozen=True):
    """Answers with a list of `Mounted`."""


class Stop(_Request, tag="stop", frozen=True):
    """Unmounts everything and ends the supervisor. Answers before it ends."""


SupervisorRequest = Mount | Unmount | ListMounts | Stop

Request = HolderRequest | SupervisorRequest


class Mounted(msgspec.Struct, frozen=True, omit_defaults=True):
    """One mount. `state`: `starting`, `ready`, `replacing` (its process died, the next one starts), `ending`.

    `why_watch`: why it is not FUSE, when that was not asked for.
    """

    workspace: str
    mountpoint: str
    backend: Literal["fuse", "watch"]
    pid: int
    state: str
    deaths: int = 0
    passthrough: bool = False
    why_watch: str | None = None


class Unmounted(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an unmount went. `lazy`: why the mount point had to be taken away from processes that still use it; None: they were none."""

    workspace: str
    mountpoint: str
    lazy: str | None = None


NOTHING: Final = msgspec.Raw(b"null")


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line back, as it is read: the answer to request `id`, or something pushed."""

    id: int | None = None
    ok: msgspec.Raw = NOTHING
    error: Failure | None = None
    push: Literal["recorded"] | None = None
    iterations: list[Iteration] | None = None


class _Good(msgspec.Struct, frozen=True):
    id: int
    ok: msgspec.Raw


class _Bad(msgspec.Struct, frozen=True):
    id: int | None
    error: Failure


class _Pushed(msgspec.Struct, frozen=True):
    push: Literal["recorded"]
    iterations: list[Iteration]


_encoder = msgspec.json.Encoder()


def line(message: msgspec.Struct) -> bytes:
    """The message as it is sent."""
    return _encoder.encode(message) + b"\n"


def answer(request_id: int, value: object) -> bytes:
    """A good answer as it is sent."""
    return line(_Good(request_id, msgspec.Raw(_encoder.encode(value))))


def refusal(request_id: int | None, failure: Failure) -> bytes:
    """A bad answer as it is sent."""
    return line(_Bad(request_id, failure))


def pushed(iterations: list[Iteration]) -> bytes:
    """Iterations for a follower, as they are sent."""
    return line(_Pushed("recorded", iterations))
