"""Deployment ids and references: `type:version@hash8` and the shorter ways to name a deployment.

Semantic versions follow semver.org 2.0.0: precedence §11, build metadata ignored for order but kept in the name.
"""

import functools
import re
from typing import Final

import msgspec

from podium.wire.ids import is_agent_type

HASH_CHARS: Final = 8
"""Characters of the bundle's SHA-256 that a deployment id carries."""

LOCAL: Final = "local"
"""`type:version@local` means whatever this cluster has for that version, without a check of the hash."""

_SEMVER = re.compile(
    r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})"
    r"(?:-((?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*))?"
    r"(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?",
    re.ASCII,
)
_VERSION_MAX_CHARS: Final = 128
_HASH = re.compile(r"[0-9a-f]{8}")


@functools.total_ordering
class Version:
    """A semantic version; ordered by precedence.

    Raises:
        ValueError: the text is no semantic version.
    """

    def __init__(self, text: str) -> None:
        match = _SEMVER.fullmatch(text) if len(text) <= _VERSION_MAX_CHARS else None
        if match is None:
            raise ValueError(f"{text[:_VERSION_MAX_CHARS]!r} is no semantic version such as 1.0.0 or 2.1.0-rc.1")
        self.text = text
        self.release = (int(match[1]), int(match[2]), int(match[3]))
        self.pre: tuple[str, ...] = tuple(match[4].split(".")) if match[4] else ()

    @property
    def is_prerelease(self) -> bool:
        """Whether the version comes before its release (`1.0.0-rc.1`)."""
        return bool(self.pre)

    def _key(self) -> tuple[object, ...]:
        parts = tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in self.pre)
        return (self.release, not self.pre, parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key() == other._key()

    def __lt__(self, other: "Version") -> bool:
        return self._key() < other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"Version({self.text!r})"


class DeploymentRef(msgspec.Struct, frozen=True):
    """A reference as a caller wrote it. `hash8` is None when any bytes will do; `version` None means the highest release."""

    agent_type: str
    version: str | None = None
    hash8: str | None = None

    def __str__(self) -> str:
        version = f":{self.version}" if self.version else ""
        return f"{self.agent_type}{version}{f'@{self.hash8}' if self.hash8 else ''}"


def deployment_id(agent_type: str, version: str, sha256_hex: str) -> str:
    """The id of a deployment: `{agent_type}:{version}@{first 8 hex characters}`."""
    return f"{agent_type}:{version}@{sha256_hex[:HASH_CHARS]}"


def parse_ref(text: str) -> DeploymentRef:
    """Reads `type`, `type:version`, `type:version@hash8` or `type:version@local`.

    Raises:
        ValueError: it is none of these; the message says which part is wrong.
    """
    head, at, tail = text.partition("@")
    agent_type, colon, version = head.partition(":")
    if not is_agent_type(agent_type):
        raise ValueError(f"{agent_type[:80]!r} is no agent type (a-z, 0-9 and dashes, at most 63)")
    if colon:
        Version(version)
    if at and not colon:
        raise ValueError("a hash needs a version before it: type:version@hash8")
    if at and tail != LOCAL and not _HASH.fullmatch(tail):
        raise ValueError(f"{tail[:80]!r} is neither 8 hex characters nor 'local'")
    return DeploymentRef(agent_type, version or None, tail if at and tail != LOCAL else None)


def highest_release(versions: list[str]) -> str | None:
    """The version `type` alone refers to: the highest that is no pre-release; None when there is none."""
    releases = [v for v in map(Version, versions) if not v.is_prerelease]
    return max(releases).text if releases else None
