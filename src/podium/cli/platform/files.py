"""Files of the data directory: keys, the address, and the lock that lets one `podium up` use it.

```
<data>/            0711: agents run under other user ids and must reach their workspaces, but may not look around
  up.lock          held by the running `podium up`; its pid
  address          where the gateway is reached, one line
  dev-key          key of tenant `dev`, 0600
  admin-key        admin key, 0600
  cluster-key      shared by gateway and coordinator, 0600
  secrets-key      seals secrets at rest, 0600; without it they are lost
  diminuendo/      sessions, members and API keys of clients, 0700
  log/             what the daemons write, 0700
```
"""

import base64
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from podium.cli.failures import ConfigurationError

LOCK_NAME: Final = "up.lock"
CLUSTER_KEY_NAME: Final = "cluster-key"
SECRETS_KEY_NAME: Final = "secrets-key"
ADMIN_PREFIX: Final = "pod_admin_"

_KEY_BYTES: Final = 30


def make_secret(prefix: str = "") -> str:
    """A fresh secret: 240 random bits in URL-safe characters."""
    return prefix + base64.urlsafe_b64encode(os.urandom(_KEY_BYTES)).decode().replace("-", "a").replace("_", "b")


def make_data(data: Path) -> None:
    """Makes the data directory; others may pass through it and not list it.

    Raises:
        ConfigurationError: it can't be made or written.
    """
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o711)
        (data / "log").mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigurationError(f"the data directory {data} can't be used: {error.strerror}") from error


def ensure_secret(path: Path, make: Callable[[], str]) -> str:
    """The secret in `path`, made when there is none. Written whole or not at all, readable by its owner alone."""
    try:
        found = path.read_text().strip()
    except FileNotFoundError:
        found = ""
    if found:
        return found
    secret = make()
    write_private(path, secret)
    return secret


def write_private(path: Path, text: str) -> None:
    """Replaces `path` by a file of mode 0600, atomically and durably."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(handle, (text + "\n").encode())
        os.fsync(handle)
    finally:
        os.close(handle)
    beside.rename(path)


class Lock:
    """The right to run a platform on a data directory; gone with the process that holds it."""

    def __init__(self, data: Path) -> None:
        self._path = data / LOCK_NAME
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(self) -> None:
        """Takes the lock.

        Raises:
            ConfigurationError: another process holds it.
        """
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.pread(self._handle, 32, 0).decode(errors="replace").strip()
            self.release()
            raise ConfigurationError(
                f"podium runs already on {self._path.parent} (pid {pid}); stop it, or choose another --data"
            ) from error
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Gives it back; doing so twice is fine."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
