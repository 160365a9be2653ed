"""An identity provider in this process: real keys, real signatures."""

import json
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from diminuendo.auth.errors import KeysAwayError

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key for each name, made once."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def ec_key(name: str) -> ec.EllipticCurvePrivateKey:
    """A P-256 key for each name, made once."""
    del name
    return ec.generate_private_key(ec.SECP256R1())


def jwk(key: PrivateKey, **more: Any) -> dict[str, Any]:
    """The public half as a JWK."""
    algorithm: Any = jwt.get_algorithm_by_name("RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256")
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), **more}


class Provider:
    """Publishes keys, counts how often it was asked, and may be away."""

    def __init__(self, **keys: PrivateKey) -> None:
        self.keys: dict[str, PrivateKey] = dict(keys)
        self.asked = 0
        self.away = False

    async def fetch(self) -> bytes:
        self.asked += 1
        if self.away:
            raise KeysAwayError("the identity provider can't be reached")
        return self.published()

    def published(self) -> bytes:
        return json.dumps({"keys": [jwk(key, kid=kid) for kid, key in self.keys.items()]}).encode()

    def sign(self, claims: dict[str, Any], kid: str, **header: Any) -> str:
        key = self.keys[kid]
        algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
        return jwt.encode(claims, key, algorithm, headers={"kid": kid, **header})
