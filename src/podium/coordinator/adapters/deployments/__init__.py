"""Deployments on this host: looked up, fetched on demand, verified, unpacked, given their environment, once."""

from podium.coordinator.adapters.deployments.local import DeploymentOptions as DeploymentOptions
from podium.coordinator.adapters.deployments.local import LocalDeployments as LocalDeployments
