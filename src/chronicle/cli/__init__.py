"""The command `chronicle`."""
