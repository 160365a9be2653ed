"""What a coordinator tells a launcher, a template and a child. JSON with plain types: this side of the socket must
stay importable without anything installed.

Control socket (Unix, SEQPACKET): one packet `Launch` first; then `{"fork": n}` packets with four descriptors (setup,
stdout, stderr, gate) go in, and reports come out: `{"warm": true}`, `{"refused": …}`, `{"failed": n, …}`,
`{"ended": n, "status": wait status}`. Its end of file is the coordinator's death.

Setup socket (Unix, stream), one per process: the child sends one byte, whose credentials the kernel vouches for; the
coordinator writes the child's identity maps and answers with a 4-byte little-endian length and a `Setup`; the child
closes the socket when it is closed in, after `{"failed": reason}` if it could not be.

Gate (a pipe), one per process: the coordinator writes one byte when the workspace is there, and closes it without one when it will not
be. Nothing of the author's runs before that, and nobody goes into the directory.
"""

import json
import os
from typing import Final, NamedTuple

PACKET_MAX_BYTES: Final = 128 * 1024
"""Largest packet on the control socket."""

HELLO: Final = b"h"
"""The byte a child introduces itself with."""

FORK_DESCRIPTORS: Final = 4
"""Descriptors that come with a fork order: setup, stdout, stderr, gate."""

GATE_DESCRIPTOR: Final = 4
"""The gate's number in a child, and in a program that waits for the workspace itself."""


class Launch(NamedTuple):
    """How a template is made.

    `namespaces`: `root` (PID and mount), `user` (the same inside a user namespace), or empty (a subreaper instead).
    `template_uid`: user id the template drops to before it loads anything, None: keeps its own.
    `closed`: whether the steps of level `process` are taken. `users`: the user namespace of each child, see
    `child.Start`. `warm`: whether the SDK is loaded; `preload`: the entry
    to load as well, None: none is.
    `visible`: directories that must be reachable under any user id. `sandboxed`: whether the steps of level `sandbox` are taken.
    """

    parent: int
    namespaces: str
    template_uid: int | None
    closed: bool
    users: str
    warm: bool
    preload: str | None
    directory: str
    visible: list[str]
    sandboxed: bool


class Setup(NamedTuple):
    """How one child is made, and what it then is.

    `uid` is also the group id; None: it keeps its own. `closed`: as in `Launch`. `fence`: None, or what of the file system is left to it: what
    may be read and run, and what may be written as well; forbidden system calls come with it.
    `limits` are pairs of a resource's name (`RLIMIT_…`) and its value. `command` replaces the child by a program;
    `command_waits`: at once, so that it loads while the workspace is made: it starts in `/`, waits at `GATE_DESCRIPTOR`, and
    goes into the workspace itself.
    """

    environment: dict[str, str]
    workspace: str
    uid: int | None
    closed: bool
    limits: dict[str, int]
    command: list[str] | None
    command_waits: bool
    directory: str
    entry: str
    fence: tuple[list[str], list[str]] | None


def read_exactly(descriptor: int, size: int) -> bytes:
    """`size` bytes of a stream.

    Raises:
        EOFError: the peer is gone before.
    """
    data = b""
    while len(data) < size:
        chunk = os.read(descriptor, size - len(data))
        if not chunk:
            raise EOFError("the coordinator is gone")
        data += chunk
    return data


def read_setup(descriptor: int) -> Setup:
    """The coordinator's answer to the hello, from a descriptor of the setup socket."""
    size = int.from_bytes(read_exactly(descriptor, 4), "little")
    return Setup(**json.loads(read_exactly(descriptor, size)))


def pack(value: object) -> bytes:
    """`value` as one packet's JSON."""
    return json.dumps(value, separators=(",", ":")).encode()
