"""Where a client is, seen from behind proxies."""

import asyncio
from typing import Any, cast

import pytest

from diminuendo.server.door import address_of


class From:
    def get_extra_info(self, name: str) -> Any:
        return ("10.0.0.9", 4711) if name == "peername" else None


@pytest.mark.proves("DIM-GUESSING")
@pytest.mark.parametrize(
    ("forwarded", "proxies", "address"),
    [
        ("", 0, "10.0.0.9"),
        ("198.51.100.1", 0, "10.0.0.9"),  # anybody may write that
        ("", 1, "10.0.0.9"),
        ("198.51.100.1", 1, "198.51.100.1"),
        ("203.0.113.1, 198.51.100.1", 1, "198.51.100.1"),
        ("203.0.113.1, 198.51.100.1, 10.0.0.1", 2, "198.51.100.1"),
        ("198.51.100.1", 3, "198.51.100.1"),
    ],
)
def test_only_what_our_own_proxies_added_counts(forwarded: str, proxies: int, address: str) -> None:
    assert address_of(cast("asyncio.BaseTransport", From()), forwarded, proxies) == address
