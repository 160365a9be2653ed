"""Tokens of an identity provider: JSON Web Tokens signed by RS256 or ES256, and nothing else."""

import math
from typing import Any, Final

import jwt
import msgspec

from diminuendo.auth.errors import TokenRefusedError
from diminuendo.auth.jwks import JwksCache
from diminuendo.auth.verified import Verified
from diminuendo.domain.members import Role
from diminuendo.protocol.answers import Identity
from podium.base.clock import Clock
from podium.wire.ids import is_tenant_id

ALGORITHMS: Final = ("RS256", "ES256")
"""What a token may be signed by. Never taken from the token alone: a key is for one algorithm."""

LEEWAY_MS: Final = 30_000
"""How far the provider's clock and ours may be apart."""

TOKEN_MAX_CHARS: Final = 16_384
"""Longest token that is looked at."""

USER_ID_MAX_CHARS: Final = 255
"""Longest `sub`."""


class TokenRules(msgspec.Struct, frozen=True, kw_only=True):
    """What a token must say. `issuer` and `audience` are compared as they are; the rest names claims, and the role of
    somebody whose token has none."""

    issuer: str
    audience: str
    tenant_claim: str = "tenant_id"
    role_claim: str = "role"
    default_role: Role = Role.MEMBER


class TokenChecker:
    """Checks tokens of one provider."""

    def __init__(self, rules: TokenRules, keys: JwksCache, clock: Clock) -> None:
        self._rules = rules
        self._keys = keys
        self._clock = clock

    async def identify(self, token: str) -> Verified:
        """Who the token is about.

        Raises:
            KeysAwayError: it can't be checked now.
            TokenRefusedError: it is not valid.
        """
        claims = await self._claims(token)
        left = self._left_ms(claims)
        return Verified(self._identity(claims), left)

    async def _claims(self, token: str) -> dict[str, Any]:
        if len(token) > TOKEN_MAX_CHARS:
            raise TokenRefusedError("the token is too long")
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise TokenRefusedError("that is no token") from error
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in ALGORITHMS or "crit" in header or not isinstance(kid, str | None):
            raise TokenRefusedError(f"tokens are signed by {' or '.join(ALGORITHMS)}")
        key = await self._keys.find(algorithm, kid)
        if key is None:
            raise TokenRefusedError("the token is signed by an unknown key")
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm],
                audience=self._rules.audience,
                issuer=self._rules.issuer,
                # Times are ours to check, against the clock we were given.
                options={
                    "require": ["exp", "sub", "iss", "aud"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.InvalidAudienceError as error:
            raise TokenRefusedError("the token is for somebody else") from error
        except jwt.InvalidIssuerError as error:
            raise TokenRefusedError("the token is from somebody else") from error
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise TokenRefusedError("the token is not valid") from error
        return claims

    def _left_ms(self, claims: dict[str, Any]) -> int:
        """Milliseconds until the token ends."""
        now = self._clock.now_ms()
        for name in ("nbf", "iat"):
            if name in claims and _ms(claims[name]) > now + LEEWAY_MS:
                raise TokenRefusedError("the token is not valid yet")
        left = _ms(claims["exp"]) + LEEWAY_MS - now
        if left <= 0:
            raise TokenRefusedError("the token has expired")
        return left

    def _identity(self, claims: dict[str, Any]) -> Identity:
        user_id, tenant_id = claims["sub"], claims.get(self._rules.tenant_claim)
        role = claims.get(self._rules.role_claim, self._rules.default_role.value)
        email = claims.get("email")
        if not isinstance(user_id, str) or not 0 < len(user_id) <= USER_ID_MAX_CHARS:
            raise TokenRefusedError("the token names nobody")
        if not isinstance(tenant_id, str) or not is_tenant_id(tenant_id):
            raise TokenRefusedError(f"the token has no {self._rules.tenant_claim}")
        if not isinstance(role, str) or role not in _ROLES:
            raise TokenRefusedError(f"the token has a {self._rules.role_claim} nobody knows")
        return Identity(user_id, email if isinstance(email, str) else "", tenant_id, role)


_ROLES: Final = frozenset(role.value for role in Role)


def _ms(value: Any) -> int:
    """A moment of a token (seconds, perhaps with a fraction) in epoch milliseconds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e12 or not math.isfinite(value):
        raise TokenRefusedError("the token has a time that is none")
    return int(value * 1000)
