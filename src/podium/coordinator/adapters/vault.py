"""What instances were given in secret, sealed before the catalog keeps it and bound to the instance it was given to."""

import msgspec

from podium.base.sealing import Sealer


class Given(msgspec.Struct, frozen=True):
    """What a create call gave in confidence."""

    environment: dict[str, str]
    secrets: dict[str, str]


class Vault:
    """Seals and opens what instances were given."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def seal(self, instance_id: str, given: Given) -> bytes:
        """The box for an instance."""
        return self._sealer.seal(msgspec.json.encode(given).decode(), (_LABEL, instance_id)).encode()

    def open(self, instance_id: str, box: bytes) -> Given:
        """What is in the box.

        Raises:
            SealingError: it does not open.
        """
        return msgspec.json.decode(self._sealer.open(box.decode(), (_LABEL, instance_id)), type=Given)


_LABEL = "instance"
