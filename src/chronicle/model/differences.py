"""When two versions count as the same."""

from chronicle.model.iterations import Version


def same_content(one: Version, other: Version) -> bool:
    """Whether two versions look alike to whoever reads them: type, permissions, bytes, target, extended attributes.

    Times don't count: a file written anew with the same bytes is the same.
    """
    return (
        one.mode == other.mode
        and one.digest == other.digest
        and one.target == other.target
        and (one.xattrs or None) == (other.xattrs or None)
    )
