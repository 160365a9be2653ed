"""Migrations of state.db, numbered and forward only."""
