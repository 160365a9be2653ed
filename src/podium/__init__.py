"""Podium: deploys and runs AI agents."""
