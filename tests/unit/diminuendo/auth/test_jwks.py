"""Keys of a provider: which are used, for how long, and what happens when they rotate."""

import asyncio
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from diminuendo.auth.errors import KeysAwayError
from diminuendo.auth.fetching import fetch_from
from diminuendo.auth.jwks import (
    FORGET_SECONDS,
    FRESH_SECONDS,
    KEYS_MAX,
    RETRY_SECONDS,
    ROTATION_SECONDS,
    JwksCache,
    choose,
    read_keys,
)
from podium.base.clock import ManualClock
from tests.unit.diminuendo.auth.provider import Provider, ec_key, jwk, rsa_key


def written(*keys: Any) -> bytes:
    return json.dumps({"keys": keys}).encode()


def test_rsa_and_p256_keys_are_read_each_for_its_one_algorithm() -> None:
    keys = read_keys(written(jwk(rsa_key("a"), kid="r"), jwk(ec_key("a"), kid="e", use="sig", alg="ES256")))
    assert [(key.kid, key.algorithm) for key in keys] == [("r", "RS256"), ("e", "ES256")]
    assert isinstance(keys[0].key, rsa.RSAPublicKey)
    assert isinstance(keys[1].key, ec.EllipticCurvePublicKey)


@pytest.mark.parametrize(
    "item",
    [
        None, 7, {}, {"kty": "oct", "k": "c2VjcmV0"}, {"kty": "RSA"}, {"kty": "RSA", "n": 7, "e": "AQAB"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, {"kty": ["RSA"]},
        jwk(rsa_key("a"), use="enc"), jwk(rsa_key("a"), alg="RS512"), jwk(rsa_key("a"), alg="HS256"),
        jwk(rsa_key("short", 1024)), {**jwk(ec_key("a")), "crv": "P-384"},
    ],
    ids=range(13),
)  # fmt: skip
def test_what_can_not_be_used_is_left_out(item: Any) -> None:
    assert [key.kid for key in read_keys(written(item, jwk(ec_key("a"), kid="good")))] == ["good"]


def test_a_private_key_that_was_published_is_used_as_the_public_one_it_holds() -> None:
    import jwt

    algorithm: Any = jwt.get_algorithm_by_name("RS256")
    private = algorithm.to_jwk(rsa_key("a"), as_dict=True)
    assert "d" in private
    assert isinstance(read_keys(written(private))[0].key, rsa.RSAPublicKey)


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"keys":1}', b"\xff", b"[" * 100_000])
def test_what_is_no_set_is_no_answer(text: bytes) -> None:
    with pytest.raises(KeysAwayError, match="can't be read"):
        read_keys(text)


def test_only_so_many_keys_of_a_set_are_looked_at() -> None:
    assert len(read_keys(written(*[jwk(ec_key("a"))] * (KEYS_MAX + 1)))) == KEYS_MAX


def test_a_token_without_a_key_id_has_a_key_only_where_there_is_no_choice() -> None:
    keys = read_keys(written(jwk(rsa_key("a"), kid="1"), jwk(ec_key("a"), kid="2"), jwk(ec_key("b"), kid="3")))
    assert choose(keys, "RS256", None) is keys[0]
    assert choose(keys, "ES256", None) is None
    assert choose(keys, "ES256", "3") is keys[2]
    assert choose(keys, "RS256", "3") is None


# ── the cache ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def kid(cache: JwksCache, name: str) -> str | None:
    found = await cache.find("ES256", name)
    return found.kid if found else None


async def test_a_set_is_fetched_once_for_all_who_need_it_at_once(clock: ManualClock) -> None:
    provider = Provider(k1=ec_key("a"))
    cache = JwksCache(provider.fetch, clock)
    assert await asyncio.gather(*(kid(cache, "k1") for _ in range(20))) == ["k1"] * 20
    assert provider.asked == 1


@pytest.mark.proves("DIM-ROTATION")
async def test_a_key_that_is_new_is_found_and_one_that_was_taken_back_is_not(clock: ManualClock) -> None:
    provider = Provider(k1=ec_key("a"))
    cache = JwksCache(provider.fetch, clock)
    assert await kid(cache, "k1") == "k1"
    provider.keys = {"k2": ec_key("b")}
    clock.advance(ROTATION_SECONDS)
    assert await kid(cache, "k2") == "k2"
    assert await kid(cache, "k1") is None
    assert provider.asked == 2


async def test_a_key_that_was_taken_back_is_forgotten_within_ten_minutes(clock: ManualClock) -> None:
    provider = Provider(k1=ec_key("a"))
    cache = JwksCache(provider.fetch, clock)
    await kid(cache, "k1")
    provider.keys = {}
    clock.advance(FRESH_SECONDS - 1)
    assert await kid(cache, "k1") == "k1"
    clock.advance(1)
    assert await kid(cache, "k1") is None


@pytest.mark.proves("DIM-ROTATION")
async def test_made_up_key_ids_do_not_make_us_ask_more_often(clock: ManualClock) -> None:
    provider = Provider(k1=ec_key("a"))
    cache = JwksCache(provider.fetch, clock)
    for number in range(100):
        assert await kid(cache, f"made-up-{number}") is None
    assert provider.asked == 1
    clock.advance(ROTATION_SECONDS)
    for number in range(100):
        await kid(cache, f"made-up-{number}")
    assert provider.asked == 2


async def test_while_the_provider_is_away_the_last_set_counts_for_an_hour(clock: ManualClock) -> None:
    provider = Provider(k1=ec_key("a"))
    cache = JwksCache(provider.fetch, clock)
    await kid(cache, "k1")
    provider.away = True
    clock.advance(FORGET_SECONDS - 1)
    assert await kid(cache, "k1") == "k1"
    clock.advance(1)
    with pytest.raises(KeysAwayError):
        await kid(cache, "k1")


async def test_a_provider_that_was_away_is_asked_again_after_a_while(clock: ManualClock) -> None:
    provider = Provider(k1=ec_key("a"))
    provider.away = True
    cache = JwksCache(provider.fetch, clock)
    for _ in range(10):
        with pytest.raises(KeysAwayError):
            await kid(cache, "k1")
    assert provider.asked == 1
    provider.away = False
    clock.advance(RETRY_SECONDS)
    assert await kid(cache, "k1") == "k1"


async def test_whoever_gives_up_waiting_leaves_the_next_one_to_ask(clock: ManualClock) -> None:
    provider = Provider(k1=ec_key("a"))
    asked = asyncio.Event()

    async def slow_at_first() -> bytes:
        if not asked.is_set():
            asked.set()
            await asyncio.get_running_loop().create_future()
        return await provider.fetch()

    cache = JwksCache(slow_at_first, clock)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await kid(cache, "k1")
    assert await kid(cache, "k1") == "k1"


@pytest.mark.parametrize(
    "url", ["http://example.org/jwks", "ftp://example.org/x", "https://", "file:///etc/passwd", "x"]
)
def test_keys_come_over_https_or_from_this_host(url: str) -> None:
    with pytest.raises(ValueError, match="no https address"):
        fetch_from(url)
