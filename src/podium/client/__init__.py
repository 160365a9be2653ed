"""Typed client of Podium's public API."""
