"""Work that is asked for several times under one `Idempotency-Key` and done once: by us, waited for, or taken over."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, NamedTuple, TypeVar

import msgspec

from podium.base.discovery import Discovery
from podium.gateway.domain.creation import CLAIM_HOLD_SECONDS, check_claim
from podium.wire.errors import ErrorCode, PodiumError

POLL_SECONDS: Final = 0.05
"""How often a second caller with one `Idempotency-Key` looks whether the first is done."""

_UNCERTAIN: Final = frozenset({ErrorCode.COORDINATOR_UNREACHABLE, ErrorCode.AGENT_TIMEOUT, ErrorCode.INTERNAL})
"""Failures after which the work may be done: the claim stays, so that a repeated call finds it."""

P = TypeVar("P", bound=msgspec.Struct)
A = TypeVar("A", bound=msgspec.Struct)


class Claimed(NamedTuple, Generic[P]):
    """A key of a tenant, the fingerprint of the request it came with, and what we would do for it."""

    tenant_id: str
    key: str
    fingerprint: str
    plan: P


async def once(
    discovery: Discovery, claimed: Claimed[P], make: Callable[[P], Awaitable[tuple[A, bool]]], kind: type[A]
) -> tuple[A, bool]:
    """What `make` makes of the plan, and whether it is new; of whoever claimed the key first. Bound it.

    Raises:
        PodiumError: `idempotency_conflict`; what `make` raises.
    """
    tenant_id, key, print_, plan = claimed
    stored = msgspec.to_builtins(plan)
    while True:
        claim = await discovery.claim(tenant_id, key, print_, stored, CLAIM_HOLD_SECONDS)
        check_claim(claim, print_)
        if claim.answer is not None:
            return msgspec.convert(claim.answer, kind), True
        if claim.mine:
            break
        await asyncio.sleep(POLL_SECONDS)
    try:
        answer, is_new = await make(msgspec.convert(claim.plan, type(plan)))
    except PodiumError as error:
        if error.code not in _UNCERTAIN:
            await discovery.drop_claim(tenant_id, key)
        raise
    await discovery.settle_claim(tenant_id, key, msgspec.to_builtins(answer))
    return answer, is_new
