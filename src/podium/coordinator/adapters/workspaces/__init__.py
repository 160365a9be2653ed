"""Where agents work: versioned workspaces (Chronicle), or plain directories."""

from podium.coordinator.adapters.workspaces.directory import DirectoryWorkspaces as DirectoryWorkspaces
from podium.coordinator.adapters.workspaces.failures import workspace_problem as workspace_problem
