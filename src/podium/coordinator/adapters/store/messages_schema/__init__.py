"""Migrations of messages.db, numbered and forward only."""
