"""What an instance was given in secret opens for it alone."""

import pytest

from podium.base.clock import ManualClock
from podium.base.sealing import Sealer, SealingError
from podium.coordinator.adapters.load import Meter
from podium.coordinator.adapters.vault import Given, Vault

GIVEN = Given({"MODE": "test"}, {"TOKEN": "hush"})


def test_a_box_opens_for_its_instance_and_for_no_other() -> None:
    vault = Vault(Sealer("a secret of the tests"))
    box = vault.seal("inst-a", GIVEN)
    assert vault.open("inst-a", box) == GIVEN
    with pytest.raises(SealingError):
        vault.open("inst-b", box)


def test_a_box_shows_nothing_and_opens_after_a_rotation() -> None:
    box = Vault(Sealer("an older secret of tests")).seal("inst-a", GIVEN)
    assert b"hush" not in box
    assert Vault(Sealer("a newer secret of tests", "an older secret of tests")).open("inst-a", box) == GIVEN


def test_the_load_of_the_host_is_a_share() -> None:
    clock = ManualClock()
    meter = Meter(clock)
    assert meter.cpu() == 0.0
    clock.advance(2)
    assert 0.0 <= meter.cpu() <= 1.0
