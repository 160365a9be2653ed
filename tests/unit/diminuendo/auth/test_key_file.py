"""The file of API keys: whole or not at all, heeded as soon as it changes."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from diminuendo.auth.errors import TokenRefusedError
from diminuendo.auth.key_file import KeyFile, add_key, known_keys, put_key, remove_key
from diminuendo.domain.members import Role


def test_a_key_is_good_from_when_it_is_written_until_it_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    file = KeyFile(path)
    key, record = add_key(path, "ann", "acme", Role.ADMIN, "ann@acme.example", 2_000)
    verified = file.identify(key, 1_000)
    assert (verified.identity.user_id, verified.identity.role, verified.left_ms) == ("ann", "admin", 1_000)
    with pytest.raises(TokenRefusedError, match="expired"):
        file.identify(key, 2_000)
    assert remove_key(path, record.key_id)
    assert not remove_key(path, record.key_id)
    with pytest.raises(TokenRefusedError, match="not valid"):
        file.identify(key, 1_000)


def test_no_key_is_in_the_file_and_the_file_is_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "data" / "keys.json"
    key, record = add_key(path, "ann", "acme", Role.MEMBER)
    assert key not in path.read_text()
    assert record.key_hash in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: add_key(path, f"user{number}", "acme", Role.MEMBER), range(20)))
    assert {record.user_id for record in known_keys(path)} == {f"user{number}" for number in range(20)}


def test_a_key_that_exists_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    _, record = add_key(path, "ann", "acme", Role.MEMBER)
    put_key(path, record)
    assert known_keys(path) == [record]


@pytest.mark.noisy("keys_unreadable")
def test_a_file_that_breaks_leaves_the_keys_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key, _ = add_key(path, "ann", "acme", Role.MEMBER)
    file = KeyFile(path)
    path.write_text("[{")
    assert file.identify(key, 0).identity.user_id == "ann"
    with pytest.raises(ValueError, match="truncated"):
        KeyFile(path)
