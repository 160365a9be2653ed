from pathlib import Path

import pytest

from podium.base.discovery.valkey_location import ValkeyLocation


@pytest.mark.parametrize(
    ("text", "expected", "shown"),
    [
        ("redis://h", ValkeyLocation("h"), "valkey://h:6379/0"),
        ("valkey://h:7000/3", ValkeyLocation("h", 7000, 3), "valkey://h:7000/3"),
        ("rediss://:p%40%2F@h/", ValkeyLocation("h", password="p@/", tls=True), "valkeys://h:6379/0"),
        ("valkeys://u:p@[::1]:1", ValkeyLocation("::1", 1, 0, "u", "p", tls=True), "valkeys://::1:1/0"),
        ("unix:///run/v.sock?db=2", ValkeyLocation(database=2, socket=Path("/run/v.sock")), "unix:///run/v.sock"),
        (
            "rediss://h?ssl_ca_certs=/ca&ssl_certfile=/c&ssl_keyfile=/k",
            ValkeyLocation("h", tls=True, ca_file=Path("/ca"), certificate_file=Path("/c"), key_file=Path("/k")),
            "valkeys://h:6379/0",
        ),
    ],
)
def test_a_location_is_read_and_shown_without_credentials(text: str, expected: ValkeyLocation, shown: str) -> None:
    assert ValkeyLocation.parse(text) == expected
    assert str(expected) == shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hush", "begin it with"),
        ("http://hush@h", "begin it with"),
        ("redis://u:hush@h:port/0", "can't be read"),
        ("redis://u:hush@[h/0", "can't be read"),
        ("redis://u:hush@h/name", "number of a database"),
        ("unix://?password=hush", "unknown option password"),
        ("unix://", "path of the socket"),
        ("redis://h?ssl_ca_certs=hush", "unknown option ssl_ca_certs"),
        ("rediss://h?ssl_cert_reqs=hush", "unknown option ssl_cert_reqs"),
    ],
)
def test_what_can_not_be_meant_is_refused_without_repeating_it(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        ValkeyLocation.parse(text)
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_credentials_are_taken_out_of_what_others_say_and_do_not_print() -> None:
    location = ValkeyLocation("h", username="somebody", password="hush")
    assert location.without_credentials("user somebody with hush failed") == "user … with … failed"
    assert "hush" not in repr(location)
    assert "somebody" not in repr(location)
