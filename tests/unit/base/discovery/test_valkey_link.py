import pytest

from podium.base.discovery.valkey_link import script, unsuitable


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"redis_version": "7.0.15", "role": "master", "cluster_enabled": "0"}, None),
        ({"redis_version": "7.2.4", "valkey_version": "9.1.2", "role": "master"}, None),
        ({"redis_version": "6.2.14", "role": "master"}, "6.2.14 is too old"),
        ({"role": "master"}, "too old"),
        ({"redis_version": "7.0.0", "role": "master", "cluster_enabled": "1"}, "cluster mode disabled"),
        ({"redis_version": "7.0.0", "role": "slave"}, "the primary"),
    ],
)
def test_a_server_is_judged_by_what_it_says_of_itself(said: dict[str, str], problem: str | None) -> None:
    found = unsuitable(said)
    assert found is None if problem is None else problem in (found or "")


def test_every_script_begins_with_what_all_share() -> None:
    assert script("renew").text.startswith(script("claim").text[:500])
    assert script("renew").digest != script("claim").digest
