"""Sizes and durations carry their unit."""

import pytest

from podium.wire.units import parse_duration_ms, parse_size


@pytest.mark.parametrize(
    ("text", "size"), [("512MiB", 512 * 2**20), ("2GB", 2 * 10**9), ("1.5 KiB", 1536), ("7", 7), ("0", 0)]
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "5 mib", "-1KB", "1e3", "1KiB2"])
def test_other_sizes_are_refused_with_the_units_named(text: str) -> None:
    with pytest.raises(ValueError, match="KiB, MiB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "ms"),
    [("500ms", 500), ("30m", 1_800_000), ("1.5s", 1500), ("0", 0), ("2h", 7_200_000), ("1d", 86_400_000)],
)
def test_durations_are_read(text: str, ms: int) -> None:
    assert parse_duration_ms(text) == ms


@pytest.mark.parametrize("text", ["", "5", "5 min", "-1s", "s"])
def test_other_durations_are_refused_with_the_units_named(text: str) -> None:
    with pytest.raises(ValueError, match="ms, s, m, h, d"):
        parse_duration_ms(text)
