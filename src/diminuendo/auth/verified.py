"""What a good token gives."""

from typing import NamedTuple

from diminuendo.protocol.answers import Identity


class Verified(NamedTuple):
    """Who it is, and for how many milliseconds from now (None: without end)."""

    identity: Identity
    left_ms: int | None
