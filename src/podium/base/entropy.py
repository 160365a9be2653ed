"""Where random ids come from."""

import os
from collections.abc import Callable

from podium.wire.ids import ENTROPY_BYTES, Kind, make_id

IdSource = Callable[[Kind], str]
"""Makes a fresh id of a kind; injected, so that tests can count instead."""


def random_id(kind: Kind) -> str:
    """A fresh id from the system's randomness."""
    return make_id(kind, os.urandom(ENTROPY_BYTES))
