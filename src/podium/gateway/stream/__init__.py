"""The stream path: bytes of a WebSocket between a client and the coordinator of its instance."""
