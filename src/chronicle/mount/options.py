"""How a workspace is mounted."""

from pathlib import Path
from typing import Final, Literal

import msgspec

from chronicle.layout import Durability
from chronicle.mount.awake import KeepAwake

SWEEP_SECONDS: Final = 0.5
"""How often open files are looked at; with `QUIET_SECONDS` a change is noted at the latest a second after the last write."""

QUIET_SECONDS: Final = 0.25
"""A file is noted when it was not written for so long: who writes in bursts makes one version of a burst."""


class MountOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Each ability of the kernel can be switched off, for tests and for kernels that have it but badly.

    `source` is shown by `mount(8)`. `passthrough`: the kernel reads and writes the plain files itself where it can.
    `io_uring`: `auto` and `on` take FUSE over io_uring where the host has it switched on, else the device; `off`: never.
    `keep_awake`: whether processors may sleep while requests come in quick succession, see `chronicle.mount.awake`.
    `durability`, `quota_bytes` None: as the workspace's settings say. `entry_seconds`: how long the kernel may keep names and attributes; everything changes through
    the mount, hence long. `allow_other`: users besides the mounting one may enter; `default_permissions` None: the kernel
    checks permissions when others may enter or when we are not root. `readdirplus`: attributes come with listings.
    `threads`: how many slow operations go on at once. `max_write`: bytes of one write request.
    """

    mountpoint: Path
    source: str = "chronicle"
    passthrough: bool = True
    io_uring: Literal["off", "auto", "on"] = "off"
    keep_awake: KeepAwake = "auto"
    durability: Durability | None = None
    quota_bytes: int | None = None
    entry_seconds: float = 3600.0
    sweep_seconds: float = SWEEP_SECONDS
    quiet_seconds: float = QUIET_SECONDS
    allow_other: bool = False
    default_permissions: bool | None = None
    readdirplus: bool = True
    threads: int = 8
    max_write: int = 1 << 20
