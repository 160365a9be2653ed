"""Opening a workspace's pool with the remote tier that the environment names, if any."""

import os
from pathlib import Path

from chronicle.layout import Layout, Settings
from chronicle.store.pool import Pool, Remote, Uploader


def open_pool(layout: Layout, settings: Settings) -> Pool:
    """The workspace's pool. Raises as `Pool.open`."""
    return open_pool_at(layout.pool(settings))


def open_pool_at(directory: Path) -> Pool:
    """The pool in a directory."""
    return Pool.open(directory, remote=remote_tier())


def remote_tier() -> Remote | None:
    """The remote tier: `CHRONICLE_S3_BUCKET` and the usual `AWS_*` variables; None without."""
    if not os.environ.get("CHRONICLE_S3_BUCKET"):
        return None
    from chronicle.store.pool.s3 import S3Remote, S3Settings  # the client library is large: only who needs it loads it

    settings = S3Settings.from_environment(os.environ)
    return None if settings is None else S3Remote(settings)


def upload(layout: Layout, settings: Settings, seconds: float) -> None:
    """Brings what the workspace's pool has to the remote tier, where there is one; for workspaces that no process serves.

    Raises:
        TimeoutError: not all of it is there after so many seconds.
    """
    pool = open_pool(layout, settings)
    try:
        if pool.remote is None:
            return
        uploader = Uploader(pool)
        if uploader.lag().objects:
            uploader.start()
            try:
                uploader.drain(seconds)
            finally:
                uploader.stop()
    finally:
        pool.close()
