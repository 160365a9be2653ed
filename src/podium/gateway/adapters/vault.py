"""Secrets of agent types, sealed for the tenant, type and name they belong to."""

import logging

from podium.base.discovery import SecretsRecord
from podium.base.sealing import Sealer, SealingError

_log = logging.getLogger(__name__)


class SecretVault:
    """Seals what goes into discovery and opens what comes out."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def seal(self, tenant_id: str, agent_type: str, name: str, value: str) -> str:
        """`value` sealed; it opens for the same tenant, type and name alone."""
        return self._sealer.seal(value, _binding(tenant_id, agent_type, name))

    def open_all(self, record: SecretsRecord) -> dict[str, str]:
        """The secrets in clear. One that does not open (its key is gone) is left out and logged by name."""
        opened: dict[str, str] = {}
        for name, box in record.sealed.items():
            try:
                opened[name] = self._sealer.open(box, _binding(record.tenant_id, record.agent_type, name))
            except SealingError:
                _log.error("secret_unreadable", extra={"agent_type": record.agent_type, "secret_name": name})
        return opened


def _binding(tenant_id: str, agent_type: str, name: str) -> tuple[str, str, str]:
    return tenant_id, agent_type, name
