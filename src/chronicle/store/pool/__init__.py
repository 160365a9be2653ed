"""Contents by the BLAKE3 of their bytes: packed in a database, loose as files, large ones in chunks, and in a remote tier.

The format is described in `docs/internals/chronicle-pool.md`.
"""

from chronicle.store.pool.batch import PoolBatch, Stored
from chronicle.store.pool.pool import TOUCH_AFTER_S, Pool
from chronicle.store.pool.remote import Remote

__all__ = ["Pool", "PoolBatch", "Remote", "Stored", "TOUCH_AFTER_S"]
