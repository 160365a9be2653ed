"""What discovery decides, as pure functions that every implementation on this host shares."""

from typing import Any, Final, NamedTuple

from podium.base.discovery.port import LEASE_TTL_SECONDS, Claim, Lease
from podium.wire.limits import IDEMPOTENCY_MEMORY_MS

BUCKET_LIFE_SECONDS: Final = 3_600.0
"""A rate bucket nobody took from for this long is forgotten; it would be full again."""


def month_of(day: str) -> str:
    """The month of a day: `2026-11` of `2026-11-21`. Before it, in the order of text, are all months and days that were earlier."""
    return day[:7]


class StoredLease(NamedTuple):
    """A lease as it is kept. `coordinator_id` None: given back, only the epoch is remembered. `deadline`: monotonic."""

    coordinator_id: str | None
    epoch: int
    deadline: float


def next_lease(
    stored: StoredLease | None, known_epoch: int, coordinator_id: str, monotonic: float
) -> StoredLease | None:
    """The lease after `coordinator_id` asked for it; None while another coordinator holds it.

    Whoever held it last keeps its epoch however late it comes, as long as no other took over: the epoch still names
    one owner. `known_epoch` is the highest that anybody else knows of (the agent's record, the caller; 0 when nobody does).
    """
    deadline = monotonic + LEASE_TTL_SECONDS
    if stored is None:
        return StoredLease(coordinator_id, known_epoch + 1, deadline)
    if stored.coordinator_id == coordinator_id:
        return stored._replace(deadline=deadline)
    if stored.coordinator_id is not None and stored.deadline > monotonic:
        return None
    return StoredLease(coordinator_id, max(stored.epoch, known_epoch) + 1, deadline)


def held_lease(agent_id: str, stored: StoredLease | None, now: float) -> Lease | None:
    """The lease as somebody holds it at `now` (monotonic); None when nobody does."""
    if stored is None or stored.coordinator_id is None or stored.deadline <= now:
        return None
    return Lease(agent_id, stored.coordinator_id, stored.epoch)


def renewed_lease(stored: StoredLease | None, agent_epoch: int, wanted: StoredLease) -> StoredLease | None:
    """The lease after its holder renewed it; None when it has lost it. `wanted` is what the holder believes, with the new
    deadline; `agent_epoch` is that of the agent's record (0 without one).

    An epoch above everything stored was given before discovery lost its memory of it, and wins.
    """
    if stored is not None and stored[:2] == wanted[:2]:
        return wanted
    forgotten = wanted.epoch > (stored.epoch if stored is not None else 0) and wanted.epoch >= agent_epoch
    return wanted if forgotten else None


class StoredClaim(NamedTuple):
    """An idempotency key as it is kept; times in epoch milliseconds."""

    fingerprint: str
    plan: dict[str, Any]
    answer: dict[str, Any] | None
    held_until: int
    expires_at: int

    def seen(self, *, mine: bool) -> Claim:
        """The claim as its caller sees it."""
        return Claim(self.fingerprint, self.plan, self.answer, self.held_until, mine)


def claimed(stored: StoredClaim | None, asked: StoredClaim, now_ms: int) -> tuple[StoredClaim, bool]:
    """The claim after someone asked for it with `asked`, and whether it is now the asker's (then it must be written).

    Work whose holder let its time pass is taken over only for the same request: another one under the same key is its
    sender's mistake and must be told so, not be given someone else's plan.
    """
    if stored is None or stored.expires_at <= now_ms:
        return asked, True
    abandoned = stored.answer is None and stored.held_until <= now_ms
    if abandoned and stored.fingerprint == asked.fingerprint:
        return stored._replace(held_until=asked.held_until), True
    return stored, False


def new_claim(fingerprint: str, plan: dict[str, Any], hold_seconds: float, now_ms: int) -> StoredClaim:
    """A claim as its first caller wants it."""
    return StoredClaim(fingerprint, plan, None, now_ms + round(hold_seconds * 1000), now_ms + IDEMPOTENCY_MEMORY_MS)


def token_taken(tokens: float, elapsed: float, per_second: float, burst: int) -> tuple[float, float]:
    """Tokens in the bucket after one was asked for `elapsed` seconds after there were `tokens`, and the seconds to wait
    (0.0: it was there and was taken)."""
    filled = min(float(burst), tokens + max(0.0, elapsed) * per_second)
    if filled >= 1.0:
        return filled - 1.0, 0.0
    return filled, (1.0 - filled) / per_second if per_second > 0 else BUCKET_LIFE_SECONDS


def config_changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Top-level keys that differ, each with its new value (None: no longer there)."""
    names = sorted(before.keys() | after.keys())
    return {
        name: after.get(name)
        for name in names
        if (name in before, before.get(name)) != (name in after, after.get(name))
    }
