"""Workspaces go out as tar and as git, and come in from directories, tar and git."""

from chronicle.exchange.arriving import Arrived
from chronicle.exchange.git_in import GitCommit, import_git
from chronicle.exchange.git_out import Exported, export_git
from chronicle.exchange.tar_in import Limits, import_tar
from chronicle.exchange.tar_out import export_tar
from chronicle.exchange.tree_in import import_tree

__all__ = [
    "Arrived",
    "Exported",
    "GitCommit",
    "Limits",
    "export_git",
    "export_tar",
    "import_git",
    "import_tar",
    "import_tree",
]
