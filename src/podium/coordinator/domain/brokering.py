"""Which host may be told which secret, and where in a request its placeholder is replaced. Pure.

An agent that may use a secret without knowing it finds a placeholder in its place. The placeholder is replaced in the target and
the headers of a request to a host the manifest allows, also inside of `Authorization: Basic`. A body goes through as it is.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import quote_from_bytes

HTTPS_PORT: Final = 443
"""Port of a host that is declared without one."""

PLACEHOLDER_PREFIX: Final = "podium-brokered-"
"""What every placeholder begins with."""

_BASIC: Final = re.compile(rb"(?i)(basic +)([A-Za-z0-9+/=_-]+)\s*")
_AUTHORITY: Final = re.compile(r"\[?(?P<host>[^\[\]@/\s]+)\]?:(?P<port>\d{1,5})", re.ASCII)
_UNSENDABLE: Final = re.compile(r"[^\x20-\x7e]")

Header = tuple[bytes, bytes]


class Host(NamedTuple):
    """Where a connection leads: a name in lower case, and a port."""

    name: str
    port: int


class Secret(NamedTuple):
    """A secret of an instance that is used on its behalf: what the agent sees, what the hosts get."""

    name: str
    placeholder: bytes
    value: bytes
    hosts: tuple[str, ...]


def placeholder_of(key: bytes, agent_id: str, name: str) -> str:
    """What an agent sees instead of a secret. The same in each of its lives and on each host that has the `key`, since an agent may
    have written it down; it tells nothing of the value."""
    said = "\0".join(("podium placeholder 1", agent_id, name)).encode()
    return PLACEHOLDER_PREFIX + hmac.new(key, said, hashlib.sha256).hexdigest()[:40]


def is_sendable(value: str) -> bool:
    """Whether a secret can be part of a header: visible ASCII and spaces (RFC 9110 §5.5). Anything else could add lines to a request."""
    return bool(value) and _UNSENDABLE.search(value) is None and value == value.strip()


def parse_authority(text: str) -> Host | None:
    """The target of a `CONNECT`: `host:port` (RFC 9110 §7.2); None: it is none."""
    found = _AUTHORITY.fullmatch(text)
    if found is None or not 0 < int(found["port"]) < 65536:
        return None
    return Host(found["host"].lower().rstrip("."), int(found["port"]))


def permits(pattern: str, host: Host) -> bool:
    """Whether a declared host is this one: `api.example.com`, any below `*.example.com`, each with a `:port` if it is not 443."""
    name, _, port = pattern.lower().partition(":")
    if host.port != int(port or HTTPS_PORT):
        return False
    if name.startswith("*."):
        return host.name.endswith(name[1:])
    return host.name == name


def allowed(secrets: Iterable[Secret], host: Host) -> tuple[Secret, ...]:
    """The secrets this host may be told."""
    return tuple(secret for secret in secrets if any(permits(pattern, host) for pattern in secret.hosts))


class Filled(NamedTuple):
    """A request with the values in it, and the names of the secrets that were used."""

    target: bytes
    headers: list[Header]
    used: frozenset[str]


def fill(target: bytes, headers: Sequence[Header], secrets: Sequence[Secret]) -> Filled:
    """The request as the host gets it."""
    used: set[str] = set()
    for secret in secrets:
        if secret.placeholder in target:
            target = target.replace(secret.placeholder, quote_from_bytes(secret.value, safe="").encode())
            used.add(secret.name)
    filled = [(name, _fill_value(name, value, secrets, used)) for name, value in headers]
    return Filled(target, filled, frozenset(used))


def bypass(patterns: Iterable[str]) -> str:
    """`NO_PROXY`: this machine, unless a secret is for it."""
    named = {pattern.partition(":")[0] for pattern in patterns}
    return ",".join(name for name in ("localhost", "127.0.0.1", "::1") if name not in named)


def shown(secrets: Mapping[str, str], brokered: Iterable[Secret]) -> dict[str, str]:
    """The secrets of an instance as its agent sees them."""
    return {**secrets, **{secret.name: secret.placeholder.decode() for secret in brokered}}


def _fill_value(name: bytes, value: bytes, secrets: Sequence[Secret], used: set[str]) -> bytes:
    basic = _BASIC.fullmatch(value) if name.lower() in (b"authorization", b"proxy-authorization") else None
    if basic is not None:
        try:
            plain = base64.b64decode(basic[2], validate=True)
        except binascii.Error:
            return value
        return basic[1] + base64.b64encode(_replace(plain, secrets, used))
    return _replace(value, secrets, used)


def _replace(text: bytes, secrets: Sequence[Secret], used: set[str]) -> bytes:
    for secret in secrets:
        if secret.placeholder in text:
            text = text.replace(secret.placeholder, secret.value)
            used.add(secret.name)
    return text
