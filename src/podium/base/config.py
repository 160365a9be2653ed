"""Configuration: one frozen object per daemon, read once from the environment, refused whole when anything is wrong.

A settings class is a frozen dataclass whose fields are made with `setting`. Nothing reads the environment at import.
"""

import dataclasses
import hmac
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

from podium.wire.units import parse_duration_ms, parse_money, parse_size

CONFIG_EXIT: Final = 78
"""Exit code of a daemon whose configuration is refused (`EX_CONFIG` of sysexits)."""

PREFIX_MAX_BYTES: Final = 120
"""Longest prefix of keys in a bucket: with the slash behind it and the longest key of the platform (900 bytes), what S3
allows (1,024)."""

_T = TypeVar("_T")
_META: Final = "podium.setting"


class ConfigError(Exception):
    """The configuration is refused. `problems` has every mistake, each with the variable and what to write."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("configuration refused:\n" + "\n".join(f"  - {problem}" for problem in problems))
        self.problems = problems


class Secret:
    """A text that does not print. Compared in constant time."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself; for the one place that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __bool__(self) -> bool:
        return bool(self._text)


@dataclasses.dataclass(frozen=True)
class Setting:
    """How one field is read: the variable, the parser of its text, the default as it would be written, what it means."""

    variable: str
    parse: Callable[[str], Any]
    default: str | None
    meaning: str


def setting(variable: str, parse: Callable[[str], _T], default: str | None, meaning: str) -> _T:
    """A field of a settings class. `default` None: absent becomes None, which the field's type must allow."""
    return cast(_T, dataclasses.field(metadata={_META: Setting(variable, parse, default, meaning)}))


def settings_of(kind: type[Any]) -> dict[str, Setting]:
    """Field name → how it is read."""
    return {field.name: field.metadata[_META] for field in dataclasses.fields(kind)}


def read(kind: type[_T], environment: Mapping[str, str]) -> _T:
    """The settings in `environment`; a variable that is empty counts as absent.

    Raises:
        ConfigError: with every mistake at once. A class may add checks of its own in a method `problems() -> list[str]`.
    """
    made, problems = inspect(kind, environment)
    if problems:
        raise ConfigError(problems)
    return made


def inspect(kind: type[_T], environment: Mapping[str, str]) -> tuple[_T, list[str]]:
    """The settings in `environment` as far as they can be read, and every mistake in them."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, how in settings_of(kind).items():
        try:
            values[name] = _parsed(how, environment.get(how.variable) or how.default)
        except ValueError as error:
            problems.append(f"{how.variable}: {error}")
            # The default stands in, so that what the class itself finds wrong is in the same report.
            values[name] = _parsed(how, how.default)
    made = kind(**values)
    own = getattr(made, "problems", None)
    problems += own() if own is not None else []
    return made, problems


def _parsed(how: Setting, text: str | None) -> Any:
    return None if text is None else how.parse(text)


def explain(settings: Any, environment: Mapping[str, str]) -> str:
    """Each variable with its value and where it came from, one a line; secrets masked."""
    lines = []
    for name, how in settings_of(type(settings)).items():
        value = getattr(settings, name)
        source = "environment" if environment.get(how.variable) else "default"
        lines.append(f"{how.variable}={'' if value is None else value}  ({source}) {how.meaning}")
    return "\n".join(lines)


# ── parsers ──────────────────────────────────────────────────────────────────────────────────────────────────


def port(text: str) -> int:
    """A TCP port; 0 means any free one."""
    if not text.isdigit() or int(text) > 65_535:
        raise ValueError(f"{text!r} is no port; write a number from 0 to 65535")
    return int(text)


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdigit() or int(text) < 1:
        raise ValueError(f"{text!r} is no whole number above 0")
    return int(text)


def seconds(text: str) -> float:
    """A duration with its unit, in seconds."""
    return parse_duration_ms(text) / 1000


def size(text: str) -> int:
    """A size with its unit, in bytes."""
    return parse_size(text)


def money(text: str) -> int:
    """An amount of money with its currency, in micro-dollars."""
    return parse_money(text)


def share(text: str) -> float:
    """A percentage below 50 with its sign, as a share."""
    number = text.removesuffix("%")
    if number == text or not number.replace(".", "", 1).isdigit() or not float(number) < 50:
        raise ValueError(f"{text!r} is no percentage below 50, such as 5%")
    return float(number) / 100


def boolean(text: str) -> bool:
    """`true` or `false`."""
    if text.lower() not in ("true", "false", "1", "0"):
        raise ValueError(f"{text!r} is neither true nor false")
    return text.lower() in ("true", "1")


def path(text: str) -> Path:
    """A path, made absolute."""
    return Path(text).expanduser().absolute()


def paths(text: str) -> tuple[Path, ...]:
    """Absolute paths, separated by colons."""
    found = tuple(Path(each) for each in text.split(":") if each)
    for each in found:
        if not each.is_absolute():
            raise ValueError(f"{str(each)!r} is no absolute path")
    return found


def endpoint(text: str) -> str:
    """Where a service answers: an `http` or `https` URL of a host, without anything secret in it."""
    found = urlsplit(text)
    if found.scheme not in ("http", "https") or not found.hostname or found.query or found.fragment:
        raise ValueError("is no URL; write http:// or https://, a host and a port")
    if found.username is not None or found.password is not None:
        raise ValueError("has credentials in it; give them by variables of their own")
    return text.rstrip("/")


def key_prefix(text: str) -> str:
    """What keys in a bucket begin with, without slashes at its ends."""
    prefix = text.strip("/")
    parts = prefix.split("/") if prefix else []
    if (
        any(part in ("", ".", "..") for part in parts)
        or not prefix.isprintable()
        or len(prefix.encode()) > PREFIX_MAX_BYTES
    ):
        raise ValueError(
            f"{text[:80]!r} is no prefix; write parts with slashes between, at most {PREFIX_MAX_BYTES} bytes"
        )
    return prefix


def one_of(*allowed: str) -> Callable[[str], str]:
    """One of a few words."""

    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"{text!r} is none of {', '.join(allowed)}")
        return text

    return parse
