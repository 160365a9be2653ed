"""What a retention policy means for one history: which contents are still needed."""

import heapq
from collections.abc import Iterator

from chronicle.model.retention import Kept, Policy, keeps
from chronicle.store.history.schema import CODES
from chronicle.store.history.segments import FOREVER, PAGE, Chain, Segment


def kept(chain: Chain, policy: Policy, head: int, now_ms: int) -> Kept:
    """The moments the policy keeps."""
    first_within = None
    if policy.within_s is not None:
        first_within = first_at_or_after(chain, now_ms - policy.within_s * 1000, head)
    moments: list[int] = []
    if policy.checkpoints:
        for segment in chain.segments:
            moments += [row[0] for row in segment.rows("SELECT n FROM checkpoint WHERE n<=?", (segment.cut,))]
    fitting = 0 if policy.history_bytes is None else first_fitting(chain, policy.history_bytes, head)
    return keeps(policy, head, first_within=first_within, checkpoints=moments, first_fitting=fitting)


def first_fitting(chain: Chain, limit: int, head: int) -> int:
    """The earliest iteration from which on the contents that were written have at most `limit` bytes together; 0 when all fit."""
    codes = ",".join(str(CODES[kind]) for kind in ("create", "modify"))
    left = limit
    for n, size in chain.descending("n, size", 0, head, f"AND kind IN ({codes}) AND size>0"):
        left -= size
        if left < 0:
            return int(n) + 1
    return 0


def first_at_or_after(chain: Chain, at_ms: int, head: int) -> int | None:
    """The earliest iteration that isn't older than this time: a bisection, as times never go back."""
    low, high = 0, head + 1
    while high - low > 1:
        middle = (low + high) // 2
        row = chain.iteration(middle, "at_ms")
        if row is not None and row[0] >= at_ms:
            high = middle
        else:
            low = middle
    return high if high <= head else None


def end_of(chain: Chain, node: int, n: int, head: int) -> int | None:
    """Until before which moment the node's version `n` was current; None: it still is."""
    following = FOREVER
    for segment in chain.segments:
        row = segment.row("SELECT MIN(n) FROM iteration WHERE node=? AND n>? AND n<=?", (node, n, segment.cut))
        if row is not None and row[0] is not None:
            following = min(following, row[0])
    if following != FOREVER:
        return following
    return death(chain, node, head)


def death(chain: Chain, node: int, head: int) -> int | None:
    """The iteration that took the node's last name; None: it has one."""
    ends = 0
    for segment in chain.segments:
        for parent, name, begin in segment.rows(
            "SELECT parent, name, n FROM slot WHERE node=? AND n<=?", (node, segment.cut)
        ):
            end = _end_of_slot(chain, parent, name, begin, head)
            if end is None:
                return None
            ends = max(ends, end)
        if node > segment.low + 1:
            break
    return ends


def _end_of_slot(chain: Chain, parent: int, name: bytes, begin: int, head: int) -> int | None:
    found = None
    for segment in chain.segments:
        if segment.cut <= begin:
            break
        row = segment.row(
            "SELECT MIN(n) FROM slot WHERE parent=? AND name=? AND n>? AND n<=?",
            (parent, name, begin, min(segment.cut, head)),
        )
        if row is not None and row[0] is not None:
            found = row[0]
    return found


def live_digests(chain: Chain, moments: Kept, head: int) -> Iterator[bytes]:
    """The digests of all contents that have to stay; one may come several times."""
    if moments.since <= 0:
        for row in chain.ascending("n, digest", 0, head, "AND digest IS NOT NULL"):
            yield row[1]
        return
    node, begin, digest = 0, 0, None
    for following, n, content in heapq.merge(*(_versions(segment, head) for segment in chain.segments)):
        if digest is not None:
            end = n if following == node else death(chain, node, head)
            if moments.needs(begin, end):
                yield digest
        node, begin, digest = following, n, content
    if digest is not None and moments.needs(begin, death(chain, node, head)):
        yield digest


def _versions(segment: Segment, head: int) -> Iterator[tuple[int, int, bytes | None]]:
    """node, n and digest of all rows of a segment, by node and number."""
    node, n = 0, 0
    while True:
        page = segment.rows(
            "SELECT node, n, digest FROM iteration WHERE (node, n) > (?,?) AND n<=? ORDER BY node, n LIMIT ?",
            (node, n, min(segment.cut, head), PAGE),
        )
        yield from page
        if len(page) < PAGE:
            return
        node, n = page[-1][:2]
