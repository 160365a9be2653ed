"""Entity tags of files (RFC 9110 §8.8.3): what tells one content from the next.

A version in a history has the hash of its content. A file without one is told apart by what the file system says of it, which costs
nothing however large it is: inode, size, time of modification, and the time of the last change of any kind, which nobody can set.
Times of file systems advance in steps. As long as a file may change once more within the step it was changed in, its tag is weak.
"""

from typing import Final, NamedTuple

from chronicle.model.iterations import Version

WEAK: Final = "weak-"
"""How the text of a weak tag begins, so that it is never that of a strong one."""


class StampedVersion(Version, frozen=True, kw_only=True):
    """A file as it is now, without history. `changed_ns`: `st_ctime_ns`; `is_fresh`: another change could leave all this as it is."""

    changed_ns: int
    is_fresh: bool = False


class Tag(NamedTuple):
    """An entity tag. A weak one is never the same as a strong one, and no precondition of a write holds with it."""

    text: str
    is_strong: bool

    @property
    def header(self) -> str:
        """As `ETag` has it."""
        return f'"{self.text}"' if self.is_strong else f'W/"{self.text}"'


def tag_of(version: Version) -> Tag:
    """The tag of a version."""
    if version.digest is not None:
        return Tag(version.digest.hex(), is_strong=True)
    if isinstance(version, StampedVersion):
        stamp = "-".join(f"{part:x}" for part in (version.node, version.size, version.mtime_ns, version.changed_ns))
        return Tag(f"{WEAK}{stamp}" if version.is_fresh else stamp, is_strong=not version.is_fresh)
    return Tag("", is_strong=True)
