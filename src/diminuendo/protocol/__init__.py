"""The client protocol, version 1: messages, limits, and how a connection begins. No I/O, no clock."""
