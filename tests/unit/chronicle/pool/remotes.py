"""A remote tier in memory, and what every remote tier must do."""

import os
import threading
from collections.abc import Callable

from blake3 import blake3

from chronicle.model.errors import StorageError
from chronicle.store.pool.remote import Remote


class MemoryRemote:
    """A remote tier in memory that can be away (`away`), and counts what it was asked. `order` has the digests as they came."""

    def __init__(self) -> None:
        self.bodies: dict[bytes, bytes] = {}
        self.order: list[bytes] = []
        self.gets = 0
        self.refused = 0
        self.away = False
        self.before_get: Callable[[], None] = lambda: None
        self._lock = threading.Lock()

    def get(self, digest: bytes) -> bytes | None:
        self._answer()
        with self._lock:
            self.gets += 1
        self.before_get()
        return self.bodies.get(digest)

    def put_if_absent(self, digest: bytes, body: bytes) -> bool:
        self._answer()
        with self._lock:
            if digest in self.bodies:
                return False
            self.bodies[digest] = body
            self.order.append(digest)
            return True

    def exists(self, digest: bytes) -> bool:
        self._answer()
        return digest in self.bodies

    def _answer(self) -> None:
        if self.away:
            self.refused += 1
            raise StorageError("the remote tier is away")


def keeps_the_contract(remote: Remote) -> None:
    """What a remote tier must do, for one that is empty of the digests asked for here."""
    body = b"\x00" + os.urandom(3000)
    digest = blake3(body[1:]).digest()
    assert not remote.exists(digest)
    assert remote.get(digest) is None
    assert remote.put_if_absent(digest, body)
    assert remote.exists(digest)
    assert remote.get(digest) == body
    assert not remote.put_if_absent(digest, b"\x00another")
    assert remote.get(digest) == body
    large = b"\x00" + os.urandom(6 << 20)
    assert remote.put_if_absent(blake3(large[1:]).digest(), large)
    assert remote.get(blake3(large[1:]).digest()) == large
    _one_wins(remote)


def _one_wins(remote: Remote) -> None:
    digest = os.urandom(32)
    won: list[bool] = []
    threads = [threading.Thread(target=lambda: won.append(remote.put_if_absent(digest, b"\x00mine"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]
