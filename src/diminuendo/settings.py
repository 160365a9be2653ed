"""What can be configured of Diminuendo. `docs/reference/configuration.md` is checked against this file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from diminuendo.auth.fetching import fetch_from
from podium.base.config import Secret, one_of, path, port, positive, seconds, setting
from podium.base.discovery.valkey_location import ValkeyLocation
from podium.base.http.origins import LOCAL_ORIGINS, Origins
from podium.base.sealing import TEXT_MIN_CHARS
from podium.base.settings import LOOPBACK
from podium.base.telemetry import TelemetrySettings
from podium.client import ClientSettings, read_settings

if TYPE_CHECKING:
    from diminuendo.auth.tokens import TokenRules

KEYS_NAME: Final = "keys.json"
"""The file of API keys in the data directory, unless another one is named."""


def count(text: str) -> int:
    """A whole number, 0 included."""
    if not text.isdigit():
        raise ValueError(f"{text!r} is no whole number")
    return int(text)


@dataclass(frozen=True)
class DiminuendoSettings(TelemetrySettings):
    """Configuration of a Diminuendo."""

    host: str = setting("DIMINUENDO_HOST", str, "127.0.0.1", "address to listen on")
    port: int = setting("DIMINUENDO_PORT", port, "8080", "port to listen on; 0: any free one")
    data: Path = setting("DIMINUENDO_DATA", path, "./data", "directory of sessions, members and API keys")
    podium_url: str = setting("PODIUM_URL", str, "http://127.0.0.1:8090", "the gateway whose agents people talk to")
    podium_api_key: Secret | None = setting(
        "PODIUM_API_KEY", Secret, None, "the key Diminuendo uses there, for all its people"
    )
    auth: str = setting(
        "DIMINUENDO_AUTH",
        one_of("required", "none"),
        "required",
        "none: everybody is the owner of tenant `local`; only on loopback",
    )
    keys: Path | None = setting(
        "DIMINUENDO_KEYS", path, None, "file of API keys, made by `diminuendo keys`; default: `keys.json` in the data"
    )
    jwks_url: str | None = setting(
        "DIMINUENDO_JWKS_URL",
        str,
        None,
        "public keys of the identity provider whose tokens are accepted; default: none",
    )
    jwt_issuer: str | None = setting("DIMINUENDO_JWT_ISSUER", str, None, "`iss` of its tokens")
    jwt_audience: str | None = setting("DIMINUENDO_JWT_AUDIENCE", str, None, "`aud` of its tokens")
    jwt_tenant_claim: str = setting("DIMINUENDO_JWT_TENANT_CLAIM", str, "tenant_id", "claim with the tenant")
    jwt_role_claim: str = setting("DIMINUENDO_JWT_ROLE_CLAIM", str, "role", "claim with the role; absent: member")
    origins: Origins = setting(
        "DIMINUENDO_ORIGINS",
        Origins.parse,
        LOCAL_ORIGINS,
        "origins whose pages may connect, with commas between; `:*` for any port, `*` for all pages",
    )
    idle_seconds: float = setting(
        "DIMINUENDO_IDLE",
        seconds,
        "30m",
        "a session nobody used for this long lets its instance go; the next turn gets one",
    )
    connections_max: int = setting(
        "DIMINUENDO_CONNECTIONS", positive, "20000", "WebSockets open at once; beyond: 503 `draining`"
    )
    proxies: int = setting(
        "DIMINUENDO_PROXIES",
        count,
        "0",
        "proxies in front that add to `X-Forwarded-For`; the limit of failed tokens counts by address",
    )
    stop_seconds: float = setting("DIMINUENDO_STOP", seconds, "10s", "how long requests may finish when it stops")
    url: str | None = setting(
        "DIMINUENDO_URL", str, None, "where other replicas reach this one; needed with `VALKEY_URL`"
    )
    cluster_key: Secret | None = setting(
        "CLUSTER_KEY", Secret, None, "credential replicas share; needed with `VALKEY_URL`"
    )
    valkey: ValkeyLocation | None = setting(
        "VALKEY_URL",
        ValkeyLocation.parse,
        None,
        "where several replicas agree who works on which tenant; default: one replica",
    )
    valkey_seconds: float = setting("VALKEY_TIMEOUT", seconds, "2s", "limit of one call to it")
    log_level: str = setting(
        "LOG_LEVEL", one_of("debug", "info", "warning", "error"), "info", "least level that is written"
    )
    log_format: str = setting(
        "LOG_FORMAT", one_of("auto", "json", "text"), "auto", "json, or text for people; auto: text on a terminal"
    )

    def problems(self) -> list[str]:
        """Every mistake that is not one of a single variable."""
        found = []
        if self.podium_api_key is None:
            found.append("PODIUM_API_KEY is missing; make one with `podium keys create TENANT`")
        if self.auth == "none" and self.host not in LOOPBACK:
            found.append(
                "DIMINUENDO_AUTH=none is for loopback alone, and DIMINUENDO_HOST is not: nothing listens openly"
            )
        try:
            self.client()
        except ValueError as error:
            found.append(str(error))
        return found + self._token_problems() + self._replica_problems()

    def _token_problems(self) -> list[str]:
        found = []
        if self.jwks_url is not None:
            try:
                fetch_from(self.jwks_url)
            except ValueError as error:
                found.append(f"DIMINUENDO_JWKS_URL: {error}")
        given = {
            "DIMINUENDO_JWKS_URL": self.jwks_url,
            "DIMINUENDO_JWT_ISSUER": self.jwt_issuer,
            "DIMINUENDO_JWT_AUDIENCE": self.jwt_audience,
        }
        missing = [name for name, value in given.items() if value is None]
        if 0 < len(missing) < len(given):
            found.append(f"tokens of an identity provider also need {' and '.join(missing)}")
        return found

    def _replica_problems(self) -> list[str]:
        if self.valkey is None:
            return []
        found = [] if self.url else ["DIMINUENDO_URL is missing: with VALKEY_URL other replicas must reach this one"]
        if self.cluster_key is None or len(self.cluster_key.reveal()) < TEXT_MIN_CHARS:
            found.append(f"CLUSTER_KEY needs at least {TEXT_MIN_CHARS} characters with VALKEY_URL")
        return found

    @property
    def keys_file(self) -> Path:
        """Where API keys are."""
        return self.keys or self.data / KEYS_NAME

    def client(self) -> ClientSettings:
        """How Podium is reached. Raises `ValueError` when the address is none."""
        key = self.podium_api_key.reveal() if self.podium_api_key else ""
        return read_settings(_NOTHING, self.podium_url, key)

    def token_rules(self) -> "TokenRules | None":
        """What tokens must say; None: none are accepted."""
        if self.jwt_issuer is None or self.jwt_audience is None:
            return None
        from diminuendo.auth.tokens import TokenRules

        return TokenRules(
            issuer=self.jwt_issuer,
            audience=self.jwt_audience,
            tenant_claim=self.jwt_tenant_claim,
            role_claim=self.jwt_role_claim,
        )


_NOTHING: Final[Mapping[str, str]] = {}
