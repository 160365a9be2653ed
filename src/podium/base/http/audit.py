"""Who changed what: one record for every administrative action, done or refused, in the log and, where it is wanted, in a file of its own.

A record names the action, who asked (the key's public id, the tenant acted for), what it was about, and how it ended. It holds no body: what was
changed may be a secret.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from podium.base.http.identity import Identity
from podium.base.logs import JsonFormatter

FIRST_ADMIN: Final = "first-admin"
"""How the holder of `ADMIN_API_KEY` is named, which has no id."""

_log = logging.getLogger("podium.audit")


def record(action: str, identity: Identity | None, target: Mapping[str, Any], status: int) -> None:
    """Writes down what was asked for. `identity` None: the caller was not known."""
    _log.info(
        "audit",
        extra={
            "action": action,
            "actor": _name(identity),
            "tenant": identity.tenant_id if identity is not None else None,
            "target": {name: str(value) for name, value in target.items()},
            "status": status,
        },
    )


def keep_in(file: Path) -> logging.Handler:
    """From now on the records are also appended to a file (JSON, a line each; its owner's alone).

    Raises:
        OSError: it can't be written.
    """
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    handler = logging.FileHandler(file, encoding="utf-8")
    handler.setFormatter(JsonFormatter())
    _log.addHandler(handler)
    return handler


def _name(identity: Identity | None) -> str | None:
    if identity is None:
        return None
    return identity.key_id or (FIRST_ADMIN if identity.is_admin else None)
