"""Until when a coordinator that can't renew its leases may run what it holds. Pure; all times are monotonic seconds.

A lease lives for ten seconds from the moment discovery wrote it, so not less than ten from the moment the call that renewed it was
begun: nobody needs anybody else's clock. The host is fenced before that, with time left to kill what it runs. If it is discovery
itself that is away, for everyone, nobody can take a lease: then it goes on for a while.
"""

from enum import Enum, auto
from typing import Final

LEASE_SECONDS: Final = 10.0
"""Life of a lease: `podium.base.discovery.port.LEASE_TTL_SECONDS`; a test compares them."""

DOUBT_SECONDS: Final = 4.0
"""Leases are renewed every three seconds. Not renewed for this long, others are asked whether they reach discovery: their answer may
take two seconds, and must be there before the fence."""

FENCE_SECONDS: Final = 7.0
"""The fence: three seconds before a lease can be taken, in which what runs is killed (some tens of milliseconds, more on a host that
has too much to do)."""

WRITE_SECONDS: Final = 8.0
"""Nothing is written with leases this old, should the host have been frozen, so that nobody could put up the fence."""

EXCUSE_SECONDS: Final = 5.0
"""For how long it is believed that discovery is away for everyone; it is asked again every second. When discovery comes back, it
gives holders ten seconds before anything of theirs may be taken (see docs/internals/discovery.md)."""

GRACE_SECONDS: Final = 60.0
"""How long a host goes on while discovery is away for everyone."""


class Verdict(Enum):
    """What the other coordinators say about discovery."""

    AWAY = auto()
    """None that answers reaches it, or there is no other."""
    THERE = auto()
    """One reaches it: it is this host that is cut off."""
    UNKNOWN = auto()
    """None answers: this host may be cut off from everybody, and discovery be there."""


def judge(answers: list[bool | None]) -> Verdict:
    """`answers`: of each other coordinator, whether it reaches discovery; None: it did not answer."""
    if True in answers:
        return Verdict.THERE
    return Verdict.AWAY if not answers or False in answers else Verdict.UNKNOWN


class Fence:
    """When to ask, when to kill, when not to write. It is up from `put_up` until the next renewal."""

    def __init__(self) -> None:
        self._renewed: float | None = None
        self._excused = 0.0
        self.is_up = False

    def renewed(self, began: float) -> None:
        """All leases were renewed, or the first was acquired, by a call that was begun then."""
        self._renewed = began if self._renewed is None else max(began, self._renewed)
        self._excused = 0.0
        self.is_up = False

    def excused(self, asked: float) -> None:
        """The others, asked then, say that discovery is away."""
        if self._renewed is not None:
            self._excused = min(asked + EXCUSE_SECONDS, self._renewed + GRACE_SECONDS)

    def put_up(self) -> None:
        """What runs is killed."""
        self.is_up = True

    def holds_nothing(self) -> None:
        """There is no lease to lose."""
        self._renewed = None
        self._excused = 0.0

    def has_doubts(self, now: float) -> bool:
        """Whether others should be asked."""
        return not self.is_up and self._renewed is not None and now >= self._renewed + DOUBT_SECONDS

    def is_due(self, now: float) -> bool:
        """Whether the fence must be put up now."""
        return not self.is_up and self._is_past(now, FENCE_SECONDS)

    def may_write(self, now: float) -> bool:
        """Whether what is held may be written."""
        return not self.is_up and not self._is_past(now, WRITE_SECONDS)

    def _is_past(self, now: float, seconds: float) -> bool:
        return self._renewed is not None and now >= max(self._renewed + seconds, self._excused)
