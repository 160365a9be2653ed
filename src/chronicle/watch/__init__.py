"""The backend without FUSE: a plain directory whose changes the kernel notifies."""

from chronicle.watch.backend import WatchBackend

__all__ = ["WatchBackend"]
