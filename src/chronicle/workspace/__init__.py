"""The library: `chronicle.Workspace`, and what it shares with the processes that serve a workspace."""
