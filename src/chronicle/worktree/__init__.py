"""The working tree as a cache of the history: hollow entries that are made when they are looked at, and restoring."""

from chronicle.recording.comparing import HOLLOW_XATTR
from chronicle.worktree.restoring import restore
from chronicle.worktree.worktree import Worktree

__all__ = ["HOLLOW_XATTR", "Worktree", "restore"]
