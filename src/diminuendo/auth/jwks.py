"""The public keys of an identity provider (JWK set, RFC 7517): read, chosen, kept for a while, fetched again when they rotate."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from diminuendo.auth.errors import KeysAwayError
from podium.base.clock import Clock

KEYS_MAX: Final = 100
"""Keys of a set that are looked at."""

RSA_MIN_BITS: Final = 2048
"""Shorter keys are ignored (RFC 7518 §3.3)."""

FRESH_SECONDS: Final = 600.0
"""How long a set is used without asking again: a key that was taken back counts for at most so long."""

FORGET_SECONDS: Final = 3600.0
"""How long the last set is used while the provider can't be reached."""

ROTATION_SECONDS: Final = 30.0
"""How often an unknown key id makes us ask at most: whoever sends made-up ids must not make us a burden."""

RETRY_SECONDS: Final = 5.0
"""How soon after a failure we ask again."""

_MEMBERS: Final = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y")}
_ALGORITHMS: Final = {"RSA": "RS256", "EC": "ES256"}

Fetch = Callable[[], Awaitable[bytes]]
"""Gets the JSON of the set. Raises `KeysAwayError`."""


class PublicKey(NamedTuple):
    """A key that may sign tokens, by the one algorithm it is for."""

    kid: str | None
    algorithm: str
    key: RSAPublicKey | EllipticCurvePublicKey


def read_keys(text: bytes) -> tuple[PublicKey, ...]:
    """The keys of a set that can be used: RSA of 2048 bits and more, and P-256, for signatures. Others are left out.

    Raises:
        KeysAwayError: it is no set.
    """
    try:
        given = msgspec.json.decode(text, type=dict[str, Any]).get("keys")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise KeysAwayError("the identity provider's keys can't be read") from error
    if not isinstance(given, list):
        raise KeysAwayError("the identity provider's keys can't be read")
    return tuple(key for item in given[:KEYS_MAX] if (key := _key(item)) is not None)


def choose(keys: Sequence[PublicKey], algorithm: str, kid: str | None) -> PublicKey | None:
    """The key a token was signed with, by its header; without a key id only where there is no choice."""
    fitting = [key for key in keys if key.algorithm == algorithm and kid in (None, key.kid)]
    return fitting[0] if len(fitting) == 1 or (fitting and kid is not None) else None


class JwksCache:
    """The set of one provider, fetched when it is needed. `clock` decides how old it is."""

    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: tuple[PublicKey, ...] | None = None
        self._fetched_at = 0.0
        self._wait_until = 0.0
        self._fetching = asyncio.Lock()

    async def find(self, algorithm: str, kid: str | None) -> PublicKey | None:
        """The key for a token's header, None when there is none.

        Raises:
            KeysAwayError: the set can't be had, and there is none young enough.
        """
        found = self._look(algorithm, kid)
        if not self._wants(found):
            return found
        async with self._fetching:
            # Whoever waited here finds what the one before fetched.
            if self._wants(self._look(algorithm, kid)):
                await self._refresh()
        if self._keys is None:
            raise KeysAwayError("the identity provider can't be reached")
        return self._look(algorithm, kid)

    def _look(self, algorithm: str, kid: str | None) -> PublicKey | None:
        if self._keys is not None and self._clock.monotonic() - self._fetched_at >= FORGET_SECONDS:
            self._keys = None
        return None if self._keys is None else choose(self._keys, algorithm, kid)

    def _wants(self, found: PublicKey | None) -> bool:
        """Whether to ask the provider; while nothing is known at all, asking is the only way on, at its own pace."""
        now = self._clock.monotonic()
        if self._keys is None:
            return True
        old = now - self._fetched_at >= FRESH_SECONDS
        return (old or found is None) and now >= self._wait_until

    async def _refresh(self) -> None:
        now = self._clock.monotonic()
        if self._keys is None and now < self._wait_until:
            return
        try:
            # Cancelled in here, nothing was changed; the next one asks again.
            self._keys = read_keys(await self._fetch())
        except KeysAwayError:
            self._wait_until = self._clock.monotonic() + RETRY_SECONDS
            return
        self._fetched_at = self._clock.monotonic()
        self._wait_until = self._fetched_at + ROTATION_SECONDS


def _key(item: Any) -> PublicKey | None:
    if not isinstance(item, dict) or item.get("use", "sig") != "sig":
        return None
    kind = item.get("kty")
    if kind not in ("RSA", "EC") or item.get("alg", _ALGORITHMS[kind]) != _ALGORITHMS[kind]:
        return None
    if kind == "EC" and item.get("crv") != "P-256":
        return None
    kid = item.get("kid")
    public = {name: item.get(name) for name in _MEMBERS[kind]}  # never the private ones, should someone publish them
    try:
        key = jwt.PyJWK(public, algorithm=_ALGORITHMS[kind]).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if not isinstance(key, RSAPublicKey | EllipticCurvePublicKey):
        return None
    if isinstance(key, RSAPublicKey) and key.key_size < RSA_MIN_BITS:
        return None
    return PublicKey(kid if isinstance(kid, str) else None, _ALGORITHMS[kind], key)
