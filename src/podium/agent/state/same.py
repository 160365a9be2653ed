"""When an assignment changes nothing."""

from typing import Any, Final

_ALIKE: Final = frozenset({str, int, bool})


def same(old: Any, new: Any) -> bool:
    """Whether putting `new` in the place of `old` changes nothing: the same object, or equal text, integers, booleans, floats.

    Zeros are never the same floats: JSON tells -0.0 from 0.0.
    """
    if old is new:
        return True
    kind = type(new)
    if type(old) is not kind:
        return False
    return (kind in _ALIKE and bool(old == new)) or (kind is float and bool(old == new) and new != 0)
