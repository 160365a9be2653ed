"""Migrations of coordinator.db, numbered and forward only."""
