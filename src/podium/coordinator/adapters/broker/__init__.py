"""Secrets that never enter the agent: a proxy on the loopback puts them into requests to the hosts a manifest allows."""

from podium.coordinator.adapters.broker.broker import BrokerSettings, LoopbackBroker

__all__ = ["BrokerSettings", "LoopbackBroker"]
