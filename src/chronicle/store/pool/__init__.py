"""Contents by the BLAKE3 of their bytes: packed in a database, loose as files, large ones in chunks, and in a remote tier.

The format is described in `docs/internals/chronicle-pool.md`.
"""

from chronicle.store.pool.batch import PoolBatch, Stored
from chronicle.store.pool.check import check
from chronicle.store.pool.collect import GRACE_S, SweepReport, sweep
from chronicle.store.pool.pool import TOUCH_AFTER_S, Pool
from chronicle.store.pool.remote import Remote
from chronicle.store.pool.s3 import S3Remote, S3Settings
from chronicle.store.pool.uploading import Lag, Uploader
from chronicle.store.pool.users import Users

__all__ = [
    "Pool",
    "PoolBatch",
    "Stored",
    "TOUCH_AFTER_S",
    "GRACE_S",
    "SweepReport",
    "check",
    "sweep",
    "Lag",
    "Remote",
    "S3Remote",
    "S3Settings",
    "Uploader",
    "Users",
]
