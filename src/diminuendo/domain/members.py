"""Who belongs to a tenant, in which role, and who may change that. The last owner stays."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What somebody may do in a tenant; each may do all that the next may."""

    OWNER = "owner"
    """Everything, also name and remove owners."""
    ADMIN = "admin"
    """Change every session, and members that are no owners."""
    MEMBER = "member"
    """Make sessions and talk to agents."""
    VIEWER = "viewer"
    """Watch."""


_RANK: Final = {role: rank for rank, role in enumerate(reversed(Role))}


def at_least(role: Role, wanted: Role) -> bool:
    """Whether `role` may do what `wanted` may."""
    return _RANK[role] >= _RANK[wanted]


class MemberRefusedError(Exception):
    """A change of members that is not allowed; says why, for a person."""


def check_change(members: Mapping[str, Role], actor: Role, user_id: str, role: Role | None) -> None:
    """Checks that somebody in role `actor` may give `user_id` the role `role`, or remove him (None).

    Raises:
        MemberRefusedError: he may not, there is no such member to remove, or the tenant would be without an owner.
    """
    before = members.get(user_id)
    if role is None and before is None:
        raise MemberRefusedError(f"{user_id} is no member")
    if not at_least(actor, Role.ADMIN):
        raise MemberRefusedError("only owners and admins change members")
    if Role.OWNER in (before, role) and actor is not Role.OWNER:
        raise MemberRefusedError("only owners name and remove owners")
    owners = sum(held is Role.OWNER for held in members.values())
    if before is Role.OWNER and role is not Role.OWNER and owners == 1:
        raise MemberRefusedError("the last owner stays: name another one first")


def role_of(members: Mapping[str, Role], user_id: str, claimed: Role) -> Role:
    """The role somebody has: what the tenant wrote down for him, else what his credentials say. So the first owner comes with
    his credentials; and to shut somebody out takes a role `viewer`, or credentials that are not given."""
    return members.get(user_id, claimed)
