"""The configuration of an agent: four layers, later ones win, tables merge key by key.

platform default < manifest < runtime layer < create call (to which a client's changes are added).
"""

from typing import Any


def merge(*layers: dict[str, Any]) -> dict[str, Any]:
    """One table from many; nested tables are merged, everything else is replaced. The layers stay as they are."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            held = merged.get(key)
            both = isinstance(held, dict) and isinstance(value, dict)
            merged[key] = merge(held, value) if both else value  # type: ignore[arg-type]
    return merged


def nested(changes: dict[str, Any]) -> dict[str, Any]:
    """`changes` with dotted keys (`"a.b": 1`) written as tables (`{"a": {"b": 1}}`)."""
    result: dict[str, Any] = {}
    for key, value in changes.items():
        inner = nested(value) if isinstance(value, dict) else value
        for part in reversed(key.split(".")):
            inner = {part: inner}
        result = merge(result, inner)
    return result


def differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Top-level keys of `after` that differ from `before`; a key that is gone has the value None."""
    changed = {key: value for key, value in after.items() if key not in before or before[key] != value}
    return changed | dict.fromkeys(before.keys() - after.keys())
