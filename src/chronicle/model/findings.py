"""What a check found."""

from typing import Literal

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """One broken invariant. `kind` is a stable word (documented in `docs/reference/chronicle.md`), `where` names the record or file.

    `severity`: `damage` (bytes or records are wrong), `loss` (something named is missing), `leftover` (harmless, can be removed).
    """

    kind: str
    where: str
    message: str
    severity: Literal["damage", "loss", "leftover"] = "damage"
