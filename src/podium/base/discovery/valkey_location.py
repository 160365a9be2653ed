"""`VALKEY_URL`: where the server of the cluster is and how it is spoken to. Credentials never print."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

PORT: Final = 6379

_PLAIN: Final = frozenset({"valkey", "redis"})
_ENCRYPTED: Final = frozenset({"valkeys", "rediss"})
_TLS_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


@dataclass(frozen=True)
class ValkeyLocation:
    """One server. `socket`: a Unix socket instead of host and port. `tls`: the server's certificate and name are verified,
    by the host's authorities and those in `ca_file`; `certificate_file` and `key_file` prove who we are."""

    host: str = "localhost"
    port: int = PORT
    database: int = 0
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    socket: Path | None = None
    tls: bool = False
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    @classmethod
    def parse(cls, text: str) -> "ValkeyLocation":
        """Reads `valkey://` or `redis://` (plain), `valkeys://` or `rediss://` (TLS), or `unix:///path/of/socket?db=0`.

        Raises:
            ValueError: says what is wrong, without the text, which may hold a password.
        """
        try:
            url = urlsplit(text)
            port = url.port or PORT
        except ValueError:
            raise ValueError("its port or host can't be read; write valkey://user:password@host:6379/0") from None
        scheme = url.scheme.lower()
        options = dict(parse_qsl(url.query, keep_blank_values=True))
        if scheme == "unix":
            database = _database(options.pop("db", "0"))
            _refuse(options)
            return cls(database=database, socket=_socket(url.path))
        if scheme not in _PLAIN | _ENCRYPTED:
            raise ValueError("begin it with valkey://, valkeys://, redis://, rediss:// or unix://")
        tls = scheme in _ENCRYPTED
        files = {name: Path(options.pop(name)) for name in _TLS_FILES if tls and name in options}
        _refuse(options)
        return cls(
            host=unquote(url.hostname or "localhost"),
            port=port,
            database=_database(unquote(url.path).strip("/") or "0"),
            username=unquote(url.username) if url.username else None,
            password=unquote(url.password) if url.password else None,
            tls=tls,
            ca_file=files.get("ssl_ca_certs"),
            certificate_file=files.get("ssl_certfile"),
            key_file=files.get("ssl_keyfile"),
        )

    def __str__(self) -> str:
        """The address, without credentials."""
        if self.socket is not None:
            return f"unix://{self.socket}"
        return f"{'valkeys' if self.tls else 'valkey'}://{self.host}:{self.port}/{self.database}"

    def without_credentials(self, said: str) -> str:
        """A text with our credentials taken out, should a server or library have repeated them."""
        for secret in (self.password, self.username):
            if secret:
                said = said.replace(secret, "…")
        return said


def _database(text: str) -> int:
    if not text.isdigit():
        raise ValueError("what follows the host is the number of a database, such as /0")
    return int(text)


def _socket(path: str) -> Path:
    if not path:
        raise ValueError("the path of the socket is missing")
    return Path(unquote(path))


def _refuse(options: dict[str, str]) -> None:
    """Options that mean nothing here are refused rather than ignored."""
    if options:
        known = ", ".join(_TLS_FILES)
        raise ValueError(
            f"unknown option {', '.join(sorted(options))}; there are {known} (with TLS) and db (with unix)"
        )
