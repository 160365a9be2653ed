"""Keys are recognised by their public part and kept as a hash."""

import pytest

from podium.base.keys import hash_key, key_id_of, make_key


@pytest.mark.parametrize("admin", [False, True])
def test_a_made_key_is_found_by_its_id_and_hashes_to_what_is_kept(admin: bool) -> None:
    made = make_key(admin=admin)
    assert made.key.startswith("pod_admin_" if admin else "pod_")
    assert key_id_of(made.key) == made.key_id
    assert hash_key(made.key) == made.key_hash
    assert made.key not in made.key_hash


def test_two_keys_are_never_the_same() -> None:
    assert len({make_key().key for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "text", ["", "pod_", "pod_x_y", "pod_admin_short_x", "xpod_" + "a" * 12 + "_" + "b" * 32, "\ud800"]
)
def test_what_is_no_key_of_ours_has_no_id(text: str) -> None:
    assert key_id_of(text) is None
    assert len(hash_key(text)) == 64
