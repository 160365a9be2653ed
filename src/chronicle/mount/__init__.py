"""The workspace as a FUSE filesystem: file data by the kernel, names by one thread here, changes to the recorder."""

from chronicle.mount.device import Abilities, Mounted, is_dead, mounts, open_device, probe, unmount
from chronicle.mount.options import MountOptions
from chronicle.mount.session import Session
from chronicle.mount.takeover import TakeoverMemory

__all__ = [
    "Abilities",
    "MountOptions",
    "Mounted",
    "Session",
    "TakeoverMemory",
    "is_dead",
    "mounts",
    "open_device",
    "probe",
    "unmount",
]
