"""Fault proofs on a platform that a whole module shares take the fixtures of the system tests."""

from tests.system.conftest import agent_type, caller, daemons, session

__all__ = ["agent_type", "caller", "daemons", "session"]
