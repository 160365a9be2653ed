"""Address and key are found, so that nobody must type them."""

from pathlib import Path

import pytest

from podium.cli import place
from podium.cli.failures import ConfigurationError
from podium.cli.place import Place, find_data, find_settings


def _data(folder: Path, **files: str) -> Path:
    data = folder / ".podium"
    data.mkdir(parents=True)
    for name, text in files.items():
        (data / name.replace("_", "-")).write_text(text + "\n")
    return data


def test_the_nearest_data_directory_is_used(tmp_path: Path) -> None:
    outer = _data(tmp_path)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find_data(below, {}) == outer
    inner = _data(tmp_path / "a")
    assert find_data(below, {}) == inner
    assert find_data(below, {"PODIUM_DATA": "/x"}) == Path("/x")
    assert find_data(below, {"PODIUM_DATA": "/x"}, Path("/y")) == Path("/y")


def test_key_and_address_of_a_running_platform_are_found(tmp_path: Path) -> None:
    _data(tmp_path, dev_key="pod_dev", admin_key="pod_admin_x", address="http://127.0.0.1:1234")
    settings = find_settings(tmp_path, {}, None, admin=False)
    assert (settings.url, settings.api_key) == ("http://127.0.0.1:1234", "pod_dev")
    assert find_settings(tmp_path, {}, None, admin=True).api_key == "pod_admin_x"


def test_the_environment_wins(tmp_path: Path) -> None:
    data = _data(tmp_path, dev_key="pod_dev", admin_key="pod_admin_x", address="http://127.0.0.1:1234")
    environment = {"PODIUM_API_KEY": "pod_mine", "PODIUM_URL": "https://podium.example"}
    settings = find_settings(tmp_path, environment, data, admin=False)
    assert (settings.url, settings.api_key) == ("https://podium.example", "pod_mine")
    assert Place(data, environment).key(admin=True) == "pod_mine"
    assert Place(data, {**environment, "ADMIN_API_KEY": "pod_admin_y"}).key(admin=True) == "pod_admin_y"


def test_without_a_key_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "APPEAR_SECONDS", 0.0)
    with pytest.raises(ConfigurationError, match="podium up"):
        find_settings(tmp_path, {}, None, admin=False)


def test_an_address_of_another_kind_is_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="http"):
        find_settings(tmp_path, {"PODIUM_API_KEY": "k", "PODIUM_URL": "x"}, None, admin=False)
