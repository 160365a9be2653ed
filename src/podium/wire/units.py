"""Sizes, durations and money as people write them: `"512MiB"`, `"30m"`, `"500ms"`, `"5 USD"`, `"0"`."""

import re
from decimal import Decimal
from typing import Final

_SIZE_UNITS: Final = {
    "": 1, "B": 1,
    "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
_TIME_UNITS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_MONEY = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*USD")
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")


def parse_size(text: str) -> int:
    """Bytes meant by `text`, such as `"512MiB"` or `"2GB"`; a bare number is bytes.

    Raises:
        ValueError: no number, or a unit that is none of B, KB, MB, GB, TB, KiB, MiB, GiB, TiB.
    """
    match = _QUANTITY.fullmatch(text.strip())
    if match is None or match[2] not in _SIZE_UNITS:
        raise ValueError(f"{text!r} is no size; write a number and one of {', '.join(u for u in _SIZE_UNITS if u)}")
    return int(float(match[1]) * _SIZE_UNITS[match[2]])


def size(count: int) -> str:
    """Bytes as people write them, to the tenth: `"512 MiB"`, `"1.5 GiB"`."""
    number = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024 or unit == "GiB":
            break
        number /= 1024
    return f"{number:.1f}".removesuffix(".0") + f" {unit}"


def parse_money(text: str) -> int:
    """Micro-dollars meant by `text`, such as `"5 USD"` or `"0.25 USD"`; only `"0"` may go without the currency.

    Raises:
        ValueError: no number of dollars.
    """
    stripped = text.strip()
    match = _MONEY.fullmatch(stripped)
    if stripped != "0" and match is None:
        raise ValueError(f'{text!r} is no amount of money; write a number and USD, such as "5 USD", or 0')
    return int(Decimal(match[1] if match is not None else 0) * 1_000_000)


def money(micro_dollars: int) -> str:
    """An amount as people write it, to the last millionth; `parse_money` reads it."""
    return f"{(Decimal(micro_dollars) / 1_000_000).normalize():f} USD"


def parse_duration_ms(text: str) -> int:
    """Milliseconds meant by `text`, such as `"30m"` or `"500ms"`; only `"0"` may go without a unit.

    Raises:
        ValueError: no number, or a unit that is none of ms, s, m, h, d.
    """
    stripped = text.strip()
    if stripped == "0":
        return 0
    match = _QUANTITY.fullmatch(stripped)
    if match is None or match[2] not in _TIME_UNITS:
        raise ValueError(f"{text!r} is no duration; write a number and one of {', '.join(_TIME_UNITS)}, or 0")
    return int(float(match[1]) * _TIME_UNITS[match[2]])
