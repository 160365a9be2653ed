"""The Lua scripts of the discovery over Valkey. Each runs whole or not at all, and alone, as everything in the server does.

`prelude.lua` stands before each of them. `ARGV[1]` is the time in epoch milliseconds, empty for the server's own clock,
which is the only one that all hosts share. Keys are made inside the scripts: they run on one server, never on a Valkey
Cluster (see docs/decisions/0012-valkey.md).
"""
