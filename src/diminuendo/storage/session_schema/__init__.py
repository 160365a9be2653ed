"""Migrations of session.db."""
