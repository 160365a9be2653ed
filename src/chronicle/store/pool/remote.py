"""The remote tier: a place outside this host that has every object, too.

An object is there under its digest with the same self-describing body as here (`bodies.py`); it is never changed, so
that whoever comes second has nothing to do.
"""

from typing import Protocol


class Remote(Protocol):
    """A remote tier. Safe for several threads at once; every call returns within a bounded time.

    All raise `StorageError` when the tier can't be reached or refuses; the call can be repeated.
    """

    def get(self, digest: bytes) -> bytes | None:
        """The object's body; None when it isn't there."""
        ...

    def put_if_absent(self, digest: bytes, body: bytes) -> bool:
        """Stores the body whole or not at all; False when the object was there before."""
        ...

    def exists(self, digest: bytes) -> bool:
        """Whether the object is there."""
        ...
