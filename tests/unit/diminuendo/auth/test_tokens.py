"""Whose a token is: API keys, and signed tokens with everything that can be wrong with them."""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from diminuendo.auth.api_keys import ApiKeys, KeyRecord, read_api_keys
from diminuendo.auth.callers import Callers
from diminuendo.auth.errors import KeysAwayError, TokenRefusedError
from diminuendo.auth.jwks import JwksCache
from diminuendo.auth.tokens import LEEWAY_MS, TOKEN_MAX_CHARS, TokenChecker, TokenRules
from diminuendo.auth.verified import Verified
from diminuendo.domain.members import Role
from diminuendo.protocol.answers import Identity
from podium.base.clock import ManualClock
from podium.base.keys import make_key
from tests.unit.diminuendo.auth.provider import Provider, ec_key, rsa_key

NOW = 1_700_000_000
CLAIMS: dict[str, Any] = {
    "iss": "https://id.example.org", "aud": "diminuendo", "sub": "ann", "email": "ann@example.org",
    "tenant_id": "t1", "role": "admin", "exp": NOW + 60, "iat": NOW, "nbf": NOW,
}  # fmt: skip
RULES = TokenRules(issuer="https://id.example.org", audience="diminuendo")


class Desk:
    """A checker with its provider and its clock."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW * 1000)
        self.provider = Provider(r=rsa_key("a"), e=ec_key("a"))
        self.checker = TokenChecker(RULES, JwksCache(self.provider.fetch, self.clock), self.clock)

    def token(self, kid: str = "r", **changed: Any) -> str:
        claims = {name: value for name, value in {**CLAIMS, **changed}.items() if value is not ...}
        return self.provider.sign(claims, kid)

    async def refused(self, token: str) -> str:
        with pytest.raises(TokenRefusedError) as caught:
            await self.checker.identify(token)
        return caught.value.reason


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize("kid", ["r", "e"])
async def test_a_token_signed_by_rs256_or_es256_says_who_it_is(desk: Desk, kid: str) -> None:
    expected = Identity("ann", "ann@example.org", "t1", "admin")
    assert await desk.checker.identify(desk.token(kid)) == Verified(expected, 60_000 + LEEWAY_MS)


async def test_an_audience_may_be_one_of_several_and_a_role_or_email_may_be_missing(desk: Desk) -> None:
    token = desk.token(aud=["other", "diminuendo"], role=..., email=..., iat=..., nbf=...)
    assert (await desk.checker.identify(token)).identity == Identity("ann", "", "t1", "member")


@pytest.mark.proves("DIM-TOKENS")
@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"exp": NOW - 31}, "expired"),
        ({"nbf": NOW + 31}, "not valid yet"),
        ({"iat": NOW + 31}, "not valid yet"),
        ({"exp": ...}, "not valid"),
        ({"exp": "tomorrow"}, "a time that is none"),
        ({"exp": True}, "a time that is none"),
        ({"exp": 10**400}, "a time that is none"),
        ({"nbf": None}, "a time that is none"),
        ({"aud": "other"}, "for somebody else"),
        ({"aud": ...}, "not valid"),
        ({"iss": "https://evil.example.org"}, "from somebody else"),
        ({"iss": ...}, "not valid"),
        ({"sub": ...}, "not valid"),
        ({"sub": ""}, "names nobody"),
        ({"sub": "x" * 256}, "names nobody"),
        ({"tenant_id": ...}, "no tenant_id"),
        ({"tenant_id": "../t2"}, "no tenant_id"),
        ({"tenant_id": ["t1"]}, "no tenant_id"),
        ({"role": "king"}, "a role nobody knows"),
        ({"role": ["admin"]}, "a role nobody knows"),
    ],
    ids=str,
)
async def test_a_token_that_does_not_say_what_it_must_is_refused(desk: Desk, changed: Any, reason: str) -> None:
    assert reason in await desk.refused(desk.token(**changed))


async def test_clocks_may_be_half_a_minute_apart(desk: Desk) -> None:
    assert (await desk.checker.identify(desk.token(exp=NOW - 29))).left_ms == 1_000
    assert (await desk.checker.identify(desk.token(nbf=NOW + 30, iat=NOW + 30))).identity.user_id == "ann"


async def test_a_token_somebody_changed_is_refused(desk: Desk) -> None:
    head, _, signature = desk.token().split(".")
    claims = base64.urlsafe_b64encode(json.dumps({**CLAIMS, "role": "owner"}).encode()).decode().rstrip("=")
    assert await desk.refused(f"{head}.{claims}.{signature}") == "the token is not valid"


async def test_a_token_of_a_key_that_is_not_published_is_refused(desk: Desk) -> None:
    stranger = Provider(r=rsa_key("stranger"), x=rsa_key("stranger"))
    assert await desk.refused(stranger.sign(CLAIMS, "r")) == "the token is not valid"
    assert await desk.refused(stranger.sign(CLAIMS, "x")) == "the token is signed by an unknown key"


@pytest.mark.proves("DIM-TOKENS")
async def test_no_other_algorithm_is_taken_whatever_the_token_says(desk: Desk) -> None:
    pem = rsa_key("a").public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )  # fmt: skip

    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).decode().rstrip("=")

    body = f"{part(json.dumps({'alg': 'HS256', 'kid': 'r'}).encode())}.{part(json.dumps(CLAIMS).encode())}"
    confused = f"{body}.{part(hmac.new(pem, body.encode(), hashlib.sha256).digest())}"
    unsigned = jwt.encode(CLAIMS, "", "none")
    longer = jwt.encode(CLAIMS, rsa_key("a"), "RS512", headers={"kid": "r"})
    for token in (confused, unsigned, longer):
        assert await desk.refused(token) == "tokens are signed by RS256 or ES256"
    crossed = jwt.encode(CLAIMS, ec_key("a"), "ES256", headers={"kid": "r"})
    assert await desk.refused(crossed) == "the token is signed by an unknown key"
    assert await desk.refused(desk.provider.sign(CLAIMS, "r", crit=["b64"])) == "that is no token"


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "..", "é.é.é", "e30.e30.e30", "\ud800.a.b"])
async def test_what_is_no_token_is_refused(desk: Desk, token: str) -> None:
    assert await desk.refused(token) in ("that is no token", "tokens are signed by RS256 or ES256")
    assert desk.provider.asked == 0


async def test_a_token_that_is_too_long_is_not_looked_at(desk: Desk) -> None:
    assert await desk.refused("x" * (TOKEN_MAX_CHARS + 1)) == "the token is too long"


async def test_a_key_that_was_rotated_is_followed(desk: Desk) -> None:
    await desk.checker.identify(desk.token())
    desk.provider.keys = {"new": ec_key("new")}
    desk.clock.advance(30)
    assert (await desk.checker.identify(desk.token("new"))).identity.user_id == "ann"


async def test_while_the_provider_is_away_nobody_is_refused_for_good(desk: Desk) -> None:
    desk.provider.away = True
    with pytest.raises(KeysAwayError):
        await desk.checker.identify(desk.token())


# ── API keys, and which is which ─────────────────────────────────────────────────────────────────────────────


def record(key_hash: str, **more: Any) -> KeyRecord:
    return KeyRecord(key_hash=key_hash, user_id="bot", tenant_id="t1", **more)


async def test_an_api_key_is_known_by_its_hash_until_it_expires(desk: Desk) -> None:
    made, other = make_key(), make_key()
    keys = ApiKeys([record(made.key_hash, role=Role.VIEWER, expires_at=NOW * 1000 + 5)])
    callers = Callers(keys, desk.checker, desk.clock)
    assert await callers.identify(made.key) == Verified(Identity("bot", "", "t1", "viewer"), 5)
    with pytest.raises(TokenRefusedError, match="not valid"):
        await callers.identify(other.key)
    desk.clock.advance(0.005)
    with pytest.raises(TokenRefusedError, match="expired"):
        await callers.identify(made.key)
    assert (await callers.identify(desk.token(exp=NOW + 60))).identity.user_id == "ann"


async def test_without_a_provider_only_api_keys_count(desk: Desk) -> None:
    callers = Callers(ApiKeys(), None, desk.clock)
    with pytest.raises(TokenRefusedError, match="only API keys"):
        await callers.identify(desk.token())


async def test_a_key_with_half_a_surrogate_is_only_wrong(desk: Desk) -> None:
    with pytest.raises(TokenRefusedError, match="not valid"):
        await Callers(ApiKeys(), None, desk.clock).identify("pod_\ud800")


def test_keys_are_read_from_a_file_strictly(tmp_path: Path) -> None:
    path, made = tmp_path / "keys.json", make_key()
    path.write_text(json.dumps([{"keyHash": made.key_hash, "userId": "bot", "tenantId": "t1"}]))
    assert read_api_keys(path).identify(made.key, 0) == Verified(Identity("bot", "", "t1", "member"), None)
    for wrong in ("{}", '[{"keyHash": "x", "userId": "bot", "tenantId": "t1"}]',
                  json.dumps([{"keyHash": made.key_hash, "userId": "bot", "tenantId": "../x"}]),
                  json.dumps([{"key": made.key, "userId": "bot", "tenantId": "t1"}])):  # fmt: skip
        path.write_text(wrong)
        with pytest.raises(ValueError, match=r"\S"):
            read_api_keys(path)
