"""The coordinator's own HTTP and WebSocket interface, for gateways."""
