"""Sealed values open with their key and their context, and with nothing else."""

import base64

import pytest

from podium.base.sealing import Sealer, SealingError

CONTEXT = ("acme", "coding-agent", "TOKEN")


@pytest.mark.proves("SECRETS-ROTATION")
def test_what_the_previous_key_sealed_still_opens_and_is_known_to_be_old() -> None:
    old = Sealer("the old key, long enough").seal("value", CONTEXT)
    rotated = Sealer("the new key, long enough", "the old key, long enough")
    assert rotated.open(old, CONTEXT) == "value"
    assert rotated.needs_resealing(old)
    assert not rotated.needs_resealing(rotated.seal("value", CONTEXT))
    with pytest.raises(SealingError, match="SECRETS_KEY_PREVIOUS"):
        Sealer("the new key, long enough").open(old, CONTEXT)


def test_a_box_does_not_show_what_is_in_it_nor_repeat_itself() -> None:
    sealer = Sealer("a key that is long enough")
    box = sealer.seal("visible?", CONTEXT)
    assert b"visible" not in base64.b64decode(box)
    assert box != sealer.seal("visible?", CONTEXT)


@pytest.mark.parametrize(
    "other", [("acme", "coding-agent", "OTHER"), ("b", "coding-agent", "TOKEN"), ("acmec", "oding-agent", "TOKEN")]
)
def test_a_box_moved_elsewhere_does_not_open(other: tuple[str, str, str]) -> None:
    sealer = Sealer("a key that is long enough")
    with pytest.raises(SealingError, match="belongs to something else"):
        sealer.open(sealer.seal("value", CONTEXT), other)


def test_a_damaged_box_does_not_open() -> None:
    sealer = Sealer("a key that is long enough")
    data = bytearray(base64.b64decode(sealer.seal("value", CONTEXT)))
    data[-1] ^= 1
    for box in (base64.b64encode(data).decode(), "no base64!", "", base64.b64encode(b"\x02" + data[1:]).decode()):
        with pytest.raises(SealingError):
            sealer.open(box, CONTEXT)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16"):
        Sealer("short")
