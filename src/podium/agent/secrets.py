"""The secrets of an instance."""

from collections.abc import Iterator, Mapping


class Secrets(Mapping[str, str]):
    """Secrets by name. Printing it shows the names, never the values."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Secrets({', '.join(f'{name}=…' for name in self._values)})"
