"""Which versions have to stay readable: a decision about numbers. Nothing is dropped here."""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Protocol

import msgspec


class Policy(Protocol):
    """What a retention policy says (`chronicle.layout.Retention`): a moment stays when any rule that is set keeps it."""

    @property
    def last(self) -> int | None:
        """The newest so many iterations."""

    @property
    def within_s(self) -> int | None:
        """The iterations of the last so many seconds."""

    @property
    def checkpoints(self) -> bool:
        """The moments that have a checkpoint."""

    @property
    def history_bytes(self) -> int | None:
        """Of what the others keep only the newest iterations whose contents have at most so many bytes."""

    @property
    def keeps_all(self) -> bool:
        """Whether nothing is ever dropped."""


class Kept(msgspec.Struct, frozen=True):
    """The moments that stay readable: all from `since` on (head is among them), and single earlier ones, sorted."""

    since: int
    moments: tuple[int, ...] = ()

    def keeps(self, moment: int) -> bool:
        """Whether the moment stays readable."""
        return self.needs(moment, moment + 1)

    def needs(self, begin: int, end: int | None) -> bool:
        """Whether a version that was current at the moments `begin` to before `end` (None: it still is) has to stay."""
        if end is None or end > self.since:
            return True
        at = bisect_left(self.moments, begin)
        return at < len(self.moments) and self.moments[at] < end


def keeps(
    policy: Policy, head: int, *, first_within: int | None, checkpoints: Iterable[int], first_fitting: int = 0
) -> Kept:
    """The moments a policy keeps of a history whose newest iteration is `head`.

    `first_within` is the earliest iteration that is not older than `policy.within_s` (None: there is none, or the rule
    isn't set); `checkpoints` the moments that have one; `first_fitting` the earliest iteration from which on all contents together
    have at most `policy.history_bytes` (0: that isn't set, or all fit). Timestamps never go back, so that what is young enough is one range.
    """
    if policy.keeps_all:
        return Kept(0)
    since = head
    if policy.last is not None:
        since = min(since, head - policy.last + 1)
    if policy.within_s is not None and first_within is not None:
        since = min(since, first_within)
    if policy.last is None and policy.within_s is None and not policy.checkpoints:
        since = 0
    since = min(max(since, first_fitting, 0), head)
    kept_by_name = checkpoints if policy.checkpoints else ()
    moments = sorted({moment for moment in kept_by_name if first_fitting <= moment < since})
    return Kept(since, tuple(moments))
