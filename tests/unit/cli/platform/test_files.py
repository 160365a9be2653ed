"""Keys, the lock and what they are worth."""

import stat
from pathlib import Path

import pytest

from podium.cli.failures import ConfigurationError
from podium.cli.platform.files import Lock, ensure_secret, make_data, make_secret, write_private
from podium.cli.platform.probe import Reply, read_reply


def test_a_secret_is_made_once_and_nobody_else_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "key"
    first = ensure_secret(path, lambda: make_secret("pod_admin_"))
    assert ensure_secret(path, lambda: "other") == first
    assert first.startswith("pod_admin_")
    assert len(first) == 50
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_secrets_differ_and_need_no_escaping() -> None:
    secrets = {make_secret() for _ in range(50)}
    assert len(secrets) == 50
    assert all(secret.isalnum() for secret in secrets)


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_private(path, "one")
    write_private(path, "two")
    assert path.read_text() == "two\n"
    assert [p.name for p in tmp_path.iterdir()] == ["key"]


def test_others_may_pass_through_the_data_directory_but_see_nothing_in_it(tmp_path: Path) -> None:
    make_data(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o711
    assert stat.S_IMODE((tmp_path / "a" / "b" / "log").stat().st_mode) == 0o700


def test_a_data_directory_that_is_a_file_is_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(ConfigurationError, match="can't be used"):
        make_data(tmp_path / "x")


def test_two_platforms_can_not_share_a_directory(tmp_path: Path) -> None:
    first, second = Lock(tmp_path), Lock(tmp_path)
    first.take()
    with pytest.raises(ConfigurationError, match=r"runs already on .* \(pid \d+\)"):
        second.take()
    first.release()
    third = Lock(tmp_path)
    third.take()
    third.release()


def test_an_http_answer_is_read_as_status_and_json() -> None:
    assert read_reply(b'HTTP/1.1 200 OK\r\nX: y\r\n\r\n{"items": []}') == Reply(200, {"items": []})
    assert read_reply(b"HTTP/1.1 204 No Content\r\n\r\n") == Reply(204, None)
    with pytest.raises(ValueError, match="no HTTP"):
        read_reply(b"SSH-2.0")
