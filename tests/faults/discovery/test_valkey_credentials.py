"""Servers that want a password or speak TLS, and what is said when that goes wrong: never a credential."""

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from podium.base.discovery import DiscoveryUnavailableError, Notice
from podium.base.discovery.port import CHANNEL_CONFIG
from podium.base.discovery.valkey import ValkeyDiscovery
from podium.base.discovery.valkey_location import ValkeyLocation
from tests.contract.servers import Server, certificates, redis_server
from tests.waiting import wait_until

USER, READER, PASSWORD = "somebody", "onlooker", "hush/hush@hush"

pytestmark = pytest.mark.noisy("valkey_away")


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that knows a user and one that may only read."""
    server = Server(
        tmp_path_factory.mktemp("valkey"),
        f"user {USER} on >{PASSWORD} ~podium:* &* +@all -@dangerous",
        f"user {READER} on >{PASSWORD} ~podium:* &* +@read +@connection +@pubsub",
        "user default off",
    ).start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Redis that speaks TLS only, with a certificate of an authority of its own, and wants one of its clients."""
    program = redis_server()
    if program is None:
        pytest.skip("redis-server is not installed (the packaged Valkey speaks no TLS)")
    directory = tmp_path_factory.mktemp("redis")
    certificates(directory)
    options = (
        f"tls-cert-file {directory}/server.pem", f"tls-key-file {directory}/server.key",
        f"tls-ca-cert-file {directory}/ca.pem", f"requirepass {PASSWORD}", "bind 127.0.0.1 127.0.0.2",
    )  # fmt: skip
    server = Server(directory, *options, program=program, tls=True).start()
    yield server
    server.kill()


def shown(server: Server) -> ValkeyLocation:
    """Where the encrypted server is, with all that it wants."""
    text = (
        f"rediss://:hush%2Fhush%40hush@127.0.0.1:{server.port}/3?ssl_ca_certs={server.directory}/ca.pem"
        f"&ssl_certfile={server.directory}/server.pem&ssl_keyfile={server.directory}/server.key"
    )
    return ValkeyLocation.parse(text)


async def said_by(location: ValkeyLocation, until: Callable[[], bool] = lambda: True) -> str:
    """What is said when it can't be used, by the error and by everything under it; closes `until` something is the case."""
    discovery = ValkeyDiscovery(location, call_seconds=2)
    try:
        with pytest.raises(DiscoveryUnavailableError) as caught:
            await discovery.set_secrets("t", "echo", {"NAME": "sealed-value"})
        await wait_until(until)
    finally:
        await discovery.close()
    chain, error = "", caught.value.__cause__ or caught.value
    while error is not None:
        chain, error = f"{chain} {error!r}", error.__cause__  # type: ignore[assignment]
    return f"{caught.value} {chain}"


async def test_a_user_with_no_dangerous_rights_is_enough(keyed: Server) -> None:
    discovery = ValkeyDiscovery(replace(keyed.location, username=USER, password=PASSWORD))
    await discovery.check()
    assert await discovery.renew_leases("c1", {"a": 1}) == []
    assert await discovery.acquire_lease("a", "c2") is None
    await discovery.close()


async def test_a_socket_of_the_host_does_as_well(tmp_path: Path) -> None:
    server = Server(tmp_path, f"unixsocket {tmp_path}/valkey.sock").start()
    discovery = ValkeyDiscovery(ValkeyLocation.parse(f"unix://{tmp_path}/valkey.sock?db=2"))
    await discovery.check()
    assert await discovery.acquire_lease("a", "c1") is not None
    await discovery.close()
    assert b"db2:keys=" in server.say("INFO", "keyspace")
    server.kill()


@pytest.mark.proves("CONFIG-SECRETS-MASKED")
async def test_a_wrong_password_is_told_without_the_password(keyed: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = replace(keyed.location, username=USER, password=PASSWORD + "!")
    said = await said_by(wrong, lambda: "valkey_away" in [record.message for record in caplog.records])
    assert "invalid username-password pair" in said
    logged = " ".join(repr(record.__dict__) for record in caplog.records)
    for text in (said, logged):
        assert PASSWORD not in text
        assert USER not in text
        assert f"127.0.0.1:{keyed.port}" in text


@pytest.mark.proves("CONFIG-SECRETS-MASKED")
async def test_what_a_server_refuses_is_told_without_who_asked_and_what_was_sent(keyed: Server) -> None:
    said = await said_by(replace(keyed.location, username=READER, password=PASSWORD))
    assert "no permissions to run the 'hset' command" in said
    for text in ("sealed-value", READER, PASSWORD):
        assert text not in said


async def test_all_is_encrypted_when_the_url_says_so(encrypted: Server) -> None:
    discovery = ValkeyDiscovery(shown(encrypted))
    await discovery.check()
    heard = discovery.subscribe(CHANNEL_CONFIG)
    await discovery.set_config({"a": 1})
    assert await anext(heard) == Notice(CHANNEL_CONFIG, {"version": 1, "changes": {"a": 1}})
    assert await discovery.acquire_lease("a", "c1") is not None
    assert await discovery.renew_leases("c1", {"a": 1, "b": 1}) == []
    await discovery.close()


@pytest.mark.proves("CONFIG-SECRETS-MASKED")
async def test_a_server_is_only_believed_by_certificate_and_name(encrypted: Server) -> None:
    good = shown(encrypted)
    for location, expected in (
        (replace(good, ca_file=None), "certificate verify failed"),
        (replace(good, host="127.0.0.2"), "IP address mismatch"),
        (replace(good, certificate_file=None, key_file=None), "certificate required|Connection reset"),
        (replace(good, tls=False), "Connection (closed|reset)"),
        (replace(good, password="other-words"), "invalid username-password pair"),
        (replace(good, ca_file=Path("/nowhere/ca.pem")), "No such file"),
    ):
        said = await said_by(location)
        assert re.search(expected, said)
        assert PASSWORD not in said
        assert "other-words" not in said
