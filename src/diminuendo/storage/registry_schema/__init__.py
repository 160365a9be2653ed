"""Migrations of registry.db."""
