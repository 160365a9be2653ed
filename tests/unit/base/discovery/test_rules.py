import pytest

from podium.base.discovery.port import LEASE_TTL_SECONDS
from podium.base.discovery.rules import (
    BUCKET_LIFE_SECONDS,
    StoredLease,
    claimed,
    config_changes,
    new_claim,
    next_lease,
    renewed_lease,
    token_taken,
)

NOW = 100.0
UNTIL = NOW + LEASE_TTL_SECONDS


@pytest.mark.parametrize(
    ("stored", "agent_epoch", "expected"),
    [
        (None, 0, StoredLease("me", 1, UNTIL)),
        (None, 7, StoredLease("me", 8, UNTIL)),
        (StoredLease("me", 3, NOW + 1), 0, StoredLease("me", 3, UNTIL)),
        (StoredLease("me", 3, NOW - 99), 9, StoredLease("me", 3, UNTIL)),
        (StoredLease("you", 3, NOW + 0.1), 0, None),
        (StoredLease("you", 3, NOW), 0, StoredLease("me", 4, UNTIL)),
        (StoredLease("you", 3, NOW - 1), 5, StoredLease("me", 6, UNTIL)),
        (StoredLease(None, 3, NOW + 1), 0, StoredLease("me", 4, UNTIL)),
    ],
)
def test_a_lease_goes_to_its_holder_or_on_with_the_next_epoch(
    stored: StoredLease | None, agent_epoch: int, expected: StoredLease | None
) -> None:
    assert next_lease(stored, agent_epoch, "me", NOW) == expected


@pytest.mark.parametrize(
    ("stored", "agent_epoch", "epoch", "kept"),
    [
        (StoredLease("me", 3, NOW - 99), 9, 3, True),
        (StoredLease("you", 3, NOW - 99), 0, 3, False),
        (StoredLease(None, 3, NOW + 9), 0, 3, False),
        (StoredLease("me", 3, NOW + 9), 0, 2, False),
        (StoredLease("you", 3, NOW + 9), 0, 4, True),
        (StoredLease("you", 3, NOW + 9), 5, 4, False),
        (None, 0, 1, True),
        (None, 4, 4, True),
        (None, 5, 4, False),
    ],
)
def test_a_lease_is_renewed_by_its_holder_or_by_an_epoch_nobody_else_remembers(
    stored: StoredLease | None, agent_epoch: int, epoch: int, kept: bool
) -> None:
    wanted = StoredLease("me", epoch, UNTIL)
    assert renewed_lease(stored, agent_epoch, wanted) == (wanted if kept else None)


def test_a_bucket_never_holds_more_than_its_burst_nor_goes_back_in_time() -> None:
    assert token_taken(0.0, 1e9, 5.0, 3) == (2.0, 0.0)
    assert token_taken(0.25, -10.0, 5.0, 3) == (0.25, 0.15)
    assert token_taken(0.0, 10.0, 0.0, 3) == (0.0, BUCKET_LIFE_SECONDS)


def test_a_claim_is_the_askers_when_new_or_over_or_abandoned() -> None:
    first = new_claim("f", {"n": 1}, 10, 0)
    again = new_claim("f", {"n": 2}, 10, 20_000)
    assert claimed(None, first, 0) == (first, True)
    assert claimed(first, again, 9_999) == (first, False)
    assert claimed(first, again, 10_000) == (first._replace(held_until=30_000), True)
    assert claimed(first._replace(answer={}), again, 10_000) == (first._replace(answer={}), False)
    assert claimed(first, new_claim("g", {}, 10, 0), 10_000) == (first, False)
    assert claimed(first, again, first.expires_at) == (again, True)


def test_changes_name_what_differs_at_the_top_and_none_is_a_value_too() -> None:
    assert config_changes({}, {}) == {}
    assert config_changes({"a": 1, "b": None, "c": 3}, {"a": 1, "c": {"x": 1}, "d": None}) == {
        "b": None,
        "c": {"x": 1},
        "d": None,
    }
