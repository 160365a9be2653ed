"""Decisions of the coordinator: events in, decisions out. No asyncio, no files, no clock, no randomness."""
