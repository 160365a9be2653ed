"""Which host may be told a secret, and where a request carries it."""

import base64

import pytest

from podium.coordinator.domain.brokering import (
    Host,
    Secret,
    allowed,
    bypass,
    fill,
    is_sendable,
    parse_authority,
    permits,
    placeholder_of,
)

TOKEN = Secret("TOKEN", b"podium-brokered-1", b"s&cret", ("api.example.com",))


@pytest.mark.parametrize(
    ("pattern", "host", "yes"),
    [
        ("api.example.com", Host("api.example.com", 443), True),
        ("API.Example.com", Host("api.example.com", 443), True),
        ("api.example.com", Host("api.example.com", 8443), False),
        ("api.example.com:8443", Host("api.example.com", 8443), True),
        ("api.example.com", Host("evil-api.example.com", 443), False),
        ("api.example.com", Host("api.example.com.evil.net", 443), False),
        ("*.example.com", Host("a.b.example.com", 443), True),
        ("*.example.com", Host("example.com", 443), False),
        ("*.example.com", Host("evilexample.com", 443), False),
    ],
)
def test_a_host_is_allowed_by_its_whole_name_and_port(pattern: str, host: Host, yes: bool) -> None:
    assert permits(pattern, host) is yes


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("api.example.com:443", Host("api.example.com", 443)),
        ("API.example.com.:443", Host("api.example.com", 443)),
        ("[::1]:8443", Host("::1", 8443)),
        ("api.example.com", None),
        ("user@api.example.com:443", None),
        ("api.example.com:0", None),
        ("api.example.com:99999", None),
        ("", None),
    ],
)
def test_where_a_connection_leads(text: str, host: Host | None) -> None:
    assert parse_authority(text) == host


def test_a_placeholder_belongs_to_an_agent_and_a_name() -> None:
    mine = placeholder_of(b"key", "alice", "TOKEN")
    assert mine == placeholder_of(b"key", "alice", "TOKEN")
    assert len({mine, placeholder_of(b"key", "bob", "TOKEN"), placeholder_of(b"key", "alice", "OTHER")}) == 3
    assert placeholder_of(b"other", "alice", "TOKEN") != mine


def test_values_go_into_target_and_headers_and_nowhere_else() -> None:
    basic = base64.b64encode(b"me:podium-brokered-1")
    headers = [
        (b"authorization", b"Bearer podium-brokered-1"),
        (b"x-key", b"podium-brokered-1;podium-brokered-1"),
        (b"x-basic", b"Basic " + basic),
    ]
    filled = fill(b"/v1?key=podium-brokered-1", headers, [TOKEN])
    assert filled.target == b"/v1?key=s%26cret"
    assert filled.headers == [
        (b"authorization", b"Bearer s&cret"),
        (b"x-key", b"s&cret;s&cret"),
        (b"x-basic", b"Basic " + basic),
    ]
    assert filled.used == {"TOKEN"}
    inside = fill(b"/", [(b"authorization", b"basic " + basic)], [TOKEN])
    assert base64.b64decode(inside.headers[0][1].split()[1]) == b"me:s&cret"
    broken = fill(b"/", [(b"authorization", b"Basic ====")], [TOKEN])
    assert (broken.headers, broken.used) == ([(b"authorization", b"Basic ====")], frozenset())


def test_a_host_hears_only_the_secrets_that_are_for_it() -> None:
    other = Secret("OTHER", b"podium-brokered-2", b"o", ("other.example.com",))
    assert allowed([TOKEN, other], Host("api.example.com", 443)) == (TOKEN,)
    assert allowed([TOKEN, other], Host("example.com", 443)) == ()


@pytest.mark.parametrize(
    ("value", "yes"), [("a token", True), ("", False), ("a\nb", False), ("ü", False), (" a", False), ("a\0", False)]
)
def test_a_secret_that_could_add_lines_is_not_sendable(value: str, yes: bool) -> None:
    assert is_sendable(value) is yes


def test_this_machine_is_reached_directly_unless_a_secret_is_for_it() -> None:
    assert bypass(["api.example.com"]) == "localhost,127.0.0.1,::1"
    assert bypass(["localhost:8443"]) == "127.0.0.1,::1"
