"""Where agents work: versioned workspaces (Chronicle), or plain directories."""

from podium.coordinator.adapters.workspaces.directory import DirectoryWorkspaces as DirectoryWorkspaces
from podium.coordinator.adapters.workspaces.failures import workspace_problem as workspace_problem
from podium.coordinator.adapters.workspaces.versioned import VersionedSettings as VersionedSettings
from podium.coordinator.adapters.workspaces.versioned import VersionedWorkspaces as VersionedWorkspaces
from podium.coordinator.adapters.workspaces.versioned import Whose as Whose
