"""Up to which number a journal is filled when its agent goes on after its host was lost."""

from typing import Final, NamedTuple

from podium.wire.status import InstanceStatus

SHOWN_EVENTS_MAX: Final = 10_000
"""How many events a busy agent may have shown beyond what discovery was told: the fastest agent shows 34,000 a second
(docs/internals/performance.md), and discovery is told every 0.1 s; thrice that, for a write that took its time."""

_RESTING: Final = frozenset(
    {InstanceStatus.READY, InstanceStatus.ASLEEP, InstanceStatus.TERMINATED, InstanceStatus.FAILED}
)


class Known(NamedTuple):
    """What is known of a lost agent. `head`: newest event of its restored journal. `shown`: what discovery was told, with `status`.
    `seen`: the newest event the gateway that asks has passed on, 0 when it has no say. `given_up`: its host gave it away in
    order. `synced`: its host showed only what was replicated. `worked`: discovery was told of work, now or some seconds before. Such
    an agent may have gone on: a host that is cut off from discovery shows events until it fences itself, and can tell nobody."""

    head: int
    shown: int
    seen: int
    status: InstanceStatus
    given_up: bool = False
    synced: bool = False
    worked: bool = False


def fill_upto(known: Known, margin: int = SHOWN_EVENTS_MAX) -> int:
    """The number that no event can have been shown above. What a gateway says counts as far as it can be true."""
    told = max(known.head, known.shown)
    certain = max(told, min(known.seen, told + margin))
    rested = known.status in _RESTING and not known.worked
    exact = known.given_up or known.synced or rested
    return certain if exact else certain + margin
