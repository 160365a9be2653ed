"""Migrations of agent.db (the logs), numbered and forward only."""
