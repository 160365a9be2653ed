"""The same loopback file system on other people's engines: what Chronicle would cost on them, before any history."""
