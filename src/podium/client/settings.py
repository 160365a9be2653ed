"""Where Podium is and who asks."""

from collections.abc import Mapping
from typing import Final, NamedTuple

DEFAULT_URL: Final = "http://127.0.0.1:8090"
"""Where `podium up` serves when nothing else is said."""


class ClientSettings(NamedTuple):
    """Address and key of the client. The key is kept out of `repr`."""

    url: str = DEFAULT_URL
    api_key: str = ""
    tenant: str | None = None
    """For an admin key: the tenant it acts for."""

    def __repr__(self) -> str:
        key = "…" if self.api_key else "''"
        return f"ClientSettings(url={self.url!r}, api_key={key}, tenant={self.tenant!r})"

    def headers(self) -> dict[str, str]:
        """Headers every request carries."""
        headers = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        return {**headers, "Podium-Tenant": self.tenant} if self.tenant else headers


def read_settings(environment: Mapping[str, str], url: str | None = None, api_key: str | None = None) -> ClientSettings:
    """Settings from `PODIUM_URL` and `PODIUM_API_KEY`; what is given wins.

    Raises:
        ValueError: the URL is none of http or https.
    """
    found = (url or environment.get("PODIUM_URL") or DEFAULT_URL).rstrip("/")
    if not found.startswith(("http://", "https://")):
        raise ValueError(f"PODIUM_URL {found!r} must begin with http:// or https://")
    return ClientSettings(found, api_key if api_key is not None else environment.get("PODIUM_API_KEY", ""))
