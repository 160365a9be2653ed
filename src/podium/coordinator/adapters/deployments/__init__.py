"""Deployments of this host: fetched, verified, unpacked and given an environment, once."""

from podium.coordinator.adapters.deployments.local import LocalDeployments

__all__ = ["LocalDeployments"]
