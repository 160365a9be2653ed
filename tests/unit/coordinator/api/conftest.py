"""The same house as for the supervisor's tests."""

from tests.unit.coordinator.supervisor.conftest import clock, house, timed_house

__all__ = ["clock", "house", "timed_house"]
