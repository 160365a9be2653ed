"""Which snapshots of the state are kept. A decision on numbers alone.

Deltas are kept for ever, so every version can be rebuilt from any older snapshot; snapshots only make it quick. Kept is
a set whose gaps grow with age: between two neighbours lie never more versions than between the newer of them and the
newest snapshot (unless they were made that far apart). Of n snapshots about log2(n) remain, so what they take does not
grow with the number of turns, and rebuilding a version applies fewer deltas than have been made since.
"""

from collections.abc import Sequence


def superfluous(derived: Sequence[int], given: Sequence[int]) -> list[int]:
    """The versions of derived snapshots that may go. `given` are versions written whole: never removed, and as good a
    start for rebuilding. Both ascending; the newest snapshot always stays."""
    pinned = set(given)
    kept = sorted({0, *derived, *given}, reverse=True)
    head = kept[0]
    gone = []
    position = 1
    while position < len(kept) - 1:
        newer, this, older = kept[position - 1 : position + 2]
        if this not in pinned and newer - older <= head - newer:
            gone.append(this)
            del kept[position]
        else:
            position += 1
    return gone
