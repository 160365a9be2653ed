"""How fast the versioned workspace is: against the host's file system, against other engines, with and without history."""
