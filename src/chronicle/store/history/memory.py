"""A bounded memory of what was used lately."""

from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Memory(Generic[Key, Value]):
    """Remembers at least the `size` things used last, and at most twice as many.

    Two generations: when the younger one is full it becomes the older one, which is forgotten. What is used of the older
    one moves to the younger. That costs one look-up where a list of uses would cost a re-insertion at each.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._young: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}

    def get(self, key: Key, default: Value) -> Value:
        """What is remembered of the key, else `default`."""
        found = self._young.get(key, default)
        if found is default:
            found = self._old.get(key, default)
            if found is not default:
                self.put(key, found)
        return found

    def put(self, key: Key, value: Value) -> None:
        """Remembers."""
        young = self._young
        young[key] = value
        if len(young) > self._size:
            self._old = young
            self._young = {}

    def forget(self) -> None:
        """Forgets everything."""
        self._young = {}
        self._old = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
